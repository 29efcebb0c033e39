-- name: demo_lock
-- One exchange at a time writes, however many demonstrations run.
SELECT pg_try_advisory_lock(hashtextextended('sereno etl_ivr demo', 0));

-- name: demo_state
SELECT clock_timestamp() AS now, coalesce(max(sequence), 0) AS last FROM demo_pbx.cdr;

-- name: demo_table
-- Asterisk's cdr, as FreePBX names it, in PostgreSQL: the demonstration has no MariaDB.
CREATE SCHEMA IF NOT EXISTS demo_pbx;
CREATE TABLE IF NOT EXISTS demo_pbx.cdr (
  calldate timestamp NOT NULL,
  clid varchar(80) NOT NULL DEFAULT '',
  src varchar(80) NOT NULL DEFAULT '',
  dst varchar(80) NOT NULL DEFAULT '',
  dcontext varchar(80) NOT NULL DEFAULT '',
  channel varchar(80) NOT NULL DEFAULT '',
  dstchannel varchar(80) NOT NULL DEFAULT '',
  lastapp varchar(80) NOT NULL DEFAULT '',
  lastdata varchar(80) NOT NULL DEFAULT '',
  duration integer NOT NULL DEFAULT 0,
  billsec integer NOT NULL DEFAULT 0,
  disposition varchar(45) NOT NULL DEFAULT '',
  amaflags integer NOT NULL DEFAULT 3,
  accountcode varchar(20) NOT NULL DEFAULT '',
  uniqueid varchar(32) NOT NULL DEFAULT '',
  userfield varchar(255) NOT NULL DEFAULT '',
  linkedid varchar(32) NOT NULL DEFAULT '',
  peeraccount varchar(80) NOT NULL DEFAULT '',
  sequence integer NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS cdr_calldate ON demo_pbx.cdr (calldate);
