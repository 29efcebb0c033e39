-- Asks everything, params and results included, and changes nothing.
DO $sereno$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') THEN CREATE ROLE :"role" LOGIN; END IF; END $sereno$;
-- for each schema
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";
