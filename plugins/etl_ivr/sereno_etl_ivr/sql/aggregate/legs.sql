-- The legs of the affected calls; rows that are equal in all that is asked of them (two CDR backends
-- loaded) count once. Without a linkedid, the second half of a Local channel is the ring of some call
-- that cannot be named: `half`.
INSERT INTO pg_temp.leg
SELECT source, call, uniqueid, sequence, started_at, started_at + duration * interval '1 second',
       channel, dstchannel, dst, dcontext, app, queue, src, did, src_name, dst_name, duration, billsec,
       disposition = 'ANSWERED',
       CASE WHEN dstchannel ~ rule.agent_channel THEN substring(dstchannel FROM '/([^-@/;]+)') END,
       half, linked, false, position
FROM (
  SELECT DISTINCT ON (source, call, uniqueid, sequence, started_at, channel, dstchannel, duration,
                      billsec, disposition, lastapp, lastdata, dst)
    c.source, c.call, c.uniqueid, c.sequence, c.started_at, coalesce(c.channel, '') AS channel,
    coalesce(c.dstchannel, '') AS dstchannel, coalesce(c.dst, '') AS dst,
    coalesce(c.dcontext, '') AS dcontext, lower(coalesce(c.lastapp, '')) AS app,
    coalesce(nullif(split_part(replace(c.lastdata, '|', ','), ',', 1), ''), c.dst, '') AS queue,
    c.src, nullif(c.did, '') AS did, nullif(c.cnam, '') AS src_name, nullif(c.dst_cnam, '') AS dst_name,
    least(greatest(coalesce(c.duration, 0), 0), 86400)::numeric AS duration,
    least(greatest(coalesce(c.billsec, 0), 0), 86400)::numeric AS billsec,
    coalesce(c.disposition, '') AS disposition,
    coalesce(c.linkedid, '') = '' AND c.channel LIKE 'Local/%;2' AS half,
    coalesce(c.linkedid, '') <> '' AS linked,
    c.position
  FROM (
    SELECT a.call, c.* FROM pg_temp.affected AS a
    JOIN ivr.calls AS c ON c.source = a.source AND c.linkedid = a.call
    UNION ALL
    SELECT a.call, c.* FROM pg_temp.affected AS a
    JOIN ivr.calls AS c ON c.source = a.source AND c.uniqueid = a.call AND coalesce(c.linkedid, '') = ''
     AND c.uniqueid IS DISTINCT FROM c.linkedid
  ) AS c
  WHERE c.started_at IS NOT NULL
  ORDER BY source, call, uniqueid, sequence, started_at, channel, dstchannel, duration, billsec,
           disposition, lastapp, lastdata, dst, position
) AS c CROSS JOIN pg_temp.rule;

ANALYZE pg_temp.leg;

-- The leg whose uniqueid is the linkedid is the first: counters are no order of texts.
UPDATE pg_temp.leg AS it SET first_leg = true
FROM (
  SELECT DISTINCT ON (source, call) ctid AS place FROM pg_temp.leg
  ORDER BY source, call, uniqueid = call DESC, started_at, sequence NULLS LAST, app = 'queue' DESC,
           dcontext, dst, dstchannel, duration, billsec
) AS chosen
WHERE it.ctid = chosen.place;
