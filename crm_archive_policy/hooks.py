from odoo.exceptions import UserError
from odoo.tools import SQL

from .lib.stores import DatabaseStore
from .models.crm_archive_policy import LIFECYCLE_MODELS
from .vault.owners import untie

#: Columns with a constant default. PostgreSQL adds them without touching a row, where
#: the ORM would rewrite every contact and every lead; the default stays, for other
#: modules that insert rows in SQL.
CONSTANT_COLUMNS = {
    "archive_state": ("varchar", "live"),
    "archive_restricted": ("bool", False),
    "archive_exempt": ("bool", False),
    "archive_on_hold": ("bool", False),
}


def pre_init_hook(env):
    """Add the columns that have a constant default, in no time on any volume."""
    for model_name in LIFECYCLE_MODELS:
        table = SQL.identifier(env[model_name]._table)
        for name, (column_type, default) in CONSTANT_COLUMNS.items():
            env.cr.execute(
                SQL(
                    "ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s %s DEFAULT %s",
                    table,
                    SQL.identifier(name),
                    SQL(column_type),
                    default,
                )
            )


def uninstall_hook(env):
    """Let go of contacts and leads, so that no reference blocks the uninstall.

    What is archived stays archived (inactive) in Odoo's own sense; nothing is
    deleted but this add-on's own tables.

    :raise UserError: while records are in the vault
    """
    refuse_while_vaulted(env)
    for model_name in env["crm.archive.policy"]._get_lifecycle_models():
        env.cr.execute(
            SQL(
                """
                UPDATE %s SET archive_policy_id = NULL, archive_reason_id = NULL,
                              archive_category_id = NULL
                 WHERE archive_policy_id IS NOT NULL
                    OR archive_reason_id IS NOT NULL
                    OR archive_category_id IS NOT NULL
                """,
                SQL.identifier(env[model_name]._table),
            )
        )
    env.cr.execute(
        """
        ALTER TABLE crm_archive_log
            DROP CONSTRAINT IF EXISTS crm_archive_log_policy_id_fkey,
            DROP CONSTRAINT IF EXISTS crm_archive_log_run_id_fkey,
            DROP CONSTRAINT IF EXISTS crm_archive_log_reason_id_fkey;
        UPDATE crm_archive_policy SET category_id = NULL, reason_id = NULL;
        DELETE FROM crm_archive_candidate;
        DELETE FROM crm_archive_purge_line;
        DELETE FROM crm_archive_report;
        DELETE FROM crm_archive_entry;
        DELETE FROM crm_archive_bundle;
        DELETE FROM crm_archive_run;
        DROP FUNCTION IF EXISTS crm_archive_log_refuse() CASCADE;
        """
    )
    untie(env)
    # Whatever is left there belongs to records that are live again, or purged.
    DatabaseStore(database_uuid="", cursor=env.cr).drop_schema()
    env.invalidate_all()


def refuse_while_vaulted(env):
    """The last barrier, should a way lead past the first: nothing is removed yet.

    Odoo puts the module's state back when this fails.

    :raise UserError: while records are in the vault
    """
    modules = env["ir.module.module"]
    if count := modules._count_vaulted():
        raise UserError(modules._get_vault_refusal(count))
