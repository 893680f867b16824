-- The reference volume: contacts, leads and messages, three quarters of them idle for
-- two to four years. Filled in SQL: through the ORM a million would take a day.
\set ON_ERROR_STOP on
SET synchronous_commit = off;
SELECT setseed(0.19);

CREATE TEMP TABLE context AS SELECT
    (SELECT id FROM res_company ORDER BY id LIMIT 1) AS company,
    (SELECT id FROM crm_team ORDER BY id LIMIT 1) AS team,
    (SELECT id FROM crm_stage ORDER BY sequence LIMIT 1) AS stage,
    (SELECT partner_id FROM res_users WHERE id = 2) AS author,
    (SELECT max(id) FROM res_partner) AS last_partner,
    (SELECT coalesce(max(id), 0) FROM crm_lead) AS last_lead;

CREATE FUNCTION pg_temp.age(n bigint) RETURNS timestamp LANGUAGE sql IMMUTABLE AS $$
    SELECT date_trunc('second', timestamp '2000-01-01'
        + (CASE WHEN n % 4 = 0 THEN (n * 7919 % 600)::int
                ELSE 735 + (n * 7919 % 700)::int END) * interval '1 day')
$$;
CREATE FUNCTION pg_temp.since(n bigint) RETURNS timestamp LANGUAGE sql STABLE AS $$
    SELECT (now() AT TIME ZONE 'UTC')::timestamp(0)
        - (pg_temp.age(n) - timestamp '2000-01-01')
$$;

INSERT INTO res_partner (name, complete_name, active, type, is_company, lang, tz,
                         email, email_normalized, phone, phone_sanitized, color,
                         commercial_partner_id, create_uid, write_uid,
                         create_date, write_date)
SELECT 'Person ' || n, 'Person ' || n, true, 'contact', false, 'en_US', 'UTC',
       'person' || n || '@example.com', 'person' || n || '@example.com',
       '+3247' || lpad(n::text, 7, '0'), '+3247' || lpad(n::text, 7, '0'), 0,
       context.last_partner + n, 1, 1, pg_temp.since(n), now()
  FROM generate_series(1, :contacts) n, context;
UPDATE res_partner SET commercial_partner_id = id FROM context
 WHERE id > context.last_partner;

INSERT INTO crm_lead (name, contact_name, type, user_id, team_id, stage_id, company_id,
                      partner_id, email_from, email_normalized, phone, phone_sanitized,
                      active, priority, color, won_status, probability,
                      automated_probability, expected_revenue, create_uid, write_uid,
                      create_date, write_date, date_open, date_last_stage_update,
                      description)
SELECT 'Opportunity ' || n, 'Person ' || n, 'opportunity', 2, team, stage, company,
       NULL, 'lead' || n || '@example.com', 'lead' || n || '@example.com',
       '+3246' || lpad(n::text, 7, '0'), '+3246' || lpad(n::text, 7, '0'),
       true, (n % 4)::text, 0, 'pending', 10 + n % 60, 10 + n % 60, n % 50000, 2, 2,
       pg_temp.since(n), now(), pg_temp.since(n), pg_temp.since(n),
       '<p>' || repeat('Asked for a quotation. ', (n % 8)::int) || '</p>'
  FROM generate_series(1, :leads) n, context;

-- Two messages a record: one somebody wrote, one automatic.
INSERT INTO mail_message (model, res_id, message_type, body, date, author_id, subject,
                          message_id, create_uid, write_uid, create_date, write_date)
SELECT CASE WHEN m % 2 = 0 THEN 'crm.lead' ELSE 'res.partner' END,
       CASE WHEN m % 2 = 0 THEN last_lead + 1 + (m / 2) % :leads
            ELSE last_partner + 1 + (m / 2) % :contacts END,
       CASE WHEN m % 4 < 2 THEN 'comment' ELSE 'notification' END,
       '<p>' || repeat('Thank you for your answer, we will come back to it. ',
                       (1 + m % 4)::int) || '</p>',
       pg_temp.since(1 + (m / 2) % :leads), author, NULL,
       '<bench-' || m || '@example.com>', 2, 2, now(), now()
  FROM generate_series(0, :messages - 1) m, context;
ANALYZE crm_lead, res_partner, mail_message;
