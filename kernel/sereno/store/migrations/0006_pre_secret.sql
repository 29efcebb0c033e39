-- Params that a job declares secret are emptied in the statement that ends a run. Replicas of the version before register
-- no secrets and empty nothing; a null that they find in their place is refused or taken as by any caller.

ALTER TABLE sereno.job ADD COLUMN secrets text[];          -- names of params; null: none

CREATE FUNCTION sereno.without_secrets(params jsonb, secrets text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT CASE WHEN secrets IS NULL OR NOT params ?| secrets THEN params
                ELSE params || (SELECT jsonb_object_agg(k, NULL::text) FROM unnest(secrets) AS k WHERE params ? k) END
$$;
