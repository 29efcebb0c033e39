-- Queues runs in its own transactions, and reads no table.
DO $sereno$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') THEN CREATE ROLE :"role" LOGIN; END IF; END $sereno$;
GRANT USAGE ON SCHEMA sereno TO :"role";
GRANT EXECUTE ON FUNCTION sereno.enqueue, sereno.enqueue_many TO :"role";
GRANT EXECUTE ON FUNCTION sereno.request, sereno.request_many, sereno.tag, sereno.alone, sereno.at_place TO :"role";
