-- Each CEO gets the report of their own company: `tenant_id` is a parameter of the other files.
SELECT email AS recipient, email AS address, language, tenant_id
FROM users WHERE role = 'ceo' AND is_active ORDER BY email
