-- name: check_schema
-- What checks have found, one row each time a check was made.
CREATE SCHEMA IF NOT EXISTS cleanup;
CREATE TABLE IF NOT EXISTS cleanup.check_result (
    "check"  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ok       boolean NOT NULL,
    sentence text NOT NULL,
    examples jsonb NOT NULL DEFAULT '[]',
    run_id   bigint,
    PRIMARY KEY ("check", at)
);

-- name: check_exists
SELECT to_regclass('cleanup.check_result') IS NOT NULL;

-- name: check_add
-- $1 checks, $2 ok, $3 sentences, $4 examples, $5 the run
INSERT INTO cleanup.check_result ("check", ok, sentence, examples, run_id)
SELECT u.name, u.ok, u.sentence, u.examples::jsonb, $5
  FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[]) AS u (name, ok, sentence, examples);

-- name: check_newest
-- $1 checks. The newest result of each.
SELECT DISTINCT ON ("check") "check", at, ok FROM cleanup.check_result
 WHERE "check" = ANY($1::text[]) ORDER BY "check", at DESC;

-- name: check_forget
-- $1 interval. What is older goes, but for the newest of each check.
DELETE FROM cleanup.check_result r WHERE r.at < clock_timestamp() - $1::interval
   AND r.at < (SELECT max(n.at) FROM cleanup.check_result n WHERE n."check" = r."check");

-- name: check_limits
-- $1 text: ms. How long a statement of a check may take, and how little it may wait for locks.
SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', '5s', true);

-- name: orphans
-- {table}, {column}: what refers. {other_table}, {other_column}: to what.
SELECT t.{column}::text AS {column}, count(*) AS rows FROM {table} t
 WHERE t.{column} IS NOT NULL
   AND NOT EXISTS (SELECT FROM {other_table} o WHERE o.{other_column} = t.{column})
 GROUP BY t.{column} ORDER BY count(*) DESC, t.{column};

-- name: has_amcheck
SELECT to_regprocedure('bt_index_check(regclass, boolean)') IS NOT NULL;

-- name: indexes
-- $1 text: a table's quoted name. Its B-tree indexes.
SELECT i.indexrelid AS oid, i.indexrelid::regclass::text AS name
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
 WHERE i.indrelid = to_regclass($1) AND a.amname = 'btree' AND i.indisvalid ORDER BY 2;

-- name: check_index
-- $1 oid: an index. Raises what is wrong with it.
SELECT bt_index_check($1::oid::regclass, true);
