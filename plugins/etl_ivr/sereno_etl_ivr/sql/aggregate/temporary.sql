-- What one chunk works with: what was touched, whose facts are made anew, and their legs.
CREATE TEMP TABLE rule (
  level numeric, short numeric, agent_channel text, outbound_context text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE touch (source text, target text, first bigint, past bigint, changed boolean)
  ON COMMIT DELETE ROWS;
CREATE TEMP TABLE affected (source text, call text, PRIMARY KEY (source, call)) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE caller (source text, callid text, call text, PRIMARY KEY (source, callid))
  ON COMMIT DELETE ROWS;
CREATE TEMP TABLE quarter (source text, quarter timestamptz) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE leg (
  source text, call text, uniqueid text, sequence bigint, started_at timestamptz, ended_at timestamptz,
  channel text, dstchannel text, dst text, dcontext text, app text, queue text, src text, did text, src_name text, dst_name text,
  duration numeric, billsec numeric, answered boolean, agent text, half boolean, linked boolean, first_leg boolean,
  position bigint
) ON COMMIT DELETE ROWS;
CREATE INDEX ON pg_temp.leg (source, call);
CREATE TEMP TABLE visit (LIKE ivr.queue_visits) ON COMMIT DELETE ROWS;
CREATE INDEX ON pg_temp.visit (source, call)
