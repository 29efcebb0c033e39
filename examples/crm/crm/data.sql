-- A CRM of two CEOs with their sellers, as of now; into empty tables.
INSERT INTO crm.seller (name, role, login) VALUES ('Ana', 'ceo', 'ana'), ('Bruno', 'ceo', 'bruno');
INSERT INTO crm.seller (name, boss, login) SELECT 'Vendedor ' || n, 1 + n % 2, 'v' || n FROM generate_series(1, 10) n;
INSERT INTO crm.lead (seller, probability, converted, follow_up_at)
SELECT 3 + n % 10, (n % 100) / 100.0, n % 7 = 0, CASE WHEN n % 5 = 0 THEN now() - interval '1 minute' END
  FROM generate_series(1, 200) n;
INSERT INTO crm.conversation (seller, opened_at, last_customer_at, last_reply_at, response_seconds)
SELECT 3 + n % 10, now() - n * interval '20 minutes', now() - n * interval '15 minutes',
       CASE WHEN n % 3 > 0 THEN now() - n * interval '14 minutes' END, CASE WHEN n % 10 = 0 THEN 2000 ELSE 120 END
  FROM generate_series(1, 120) n;
INSERT INTO crm.chat_session (active_at) SELECT now() - n * interval '6 hours' FROM generate_series(1, 40) n;
INSERT INTO crm.notification (kind, subject, seller, made_at)
SELECT 'hot_lead', 'old/' || n, 3, now() - interval '8 days' FROM generate_series(1, 5) n;
INSERT INTO crm.seller_metric SELECT 3, now() - interval '31 days', 1, 1, 1, 0, 1, 0;
