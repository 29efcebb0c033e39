-- Makes the schema, applies migrations; may run replicas as well. It needs no CREATE on the database.
DO $sereno$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') THEN CREATE ROLE :"role" LOGIN; END IF; END $sereno$;
-- for each schema
CREATE SCHEMA IF NOT EXISTS :"schema" AUTHORIZATION :"role";
