-- A copy reads what the original has vaulted, and never writes or deletes there.
UPDATE crm_archive_store
   SET is_readonly = true;

-- Nothing archives, vaults, writes to customers or purges by itself in a copy.
UPDATE ir_cron
   SET active = false
 WHERE id IN (
       SELECT res_id
         FROM ir_model_data
        WHERE model = 'ir.cron'
          AND module = 'crm_archive_policy'
);
