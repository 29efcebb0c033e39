-- What the metrics show of each table that is moved.
SELECT source, table_name, position, zone, inserted, updated, rejected, deleted, last_read, last_rejected,
       now() AS now,
       (SELECT coalesce(sum(copies), 0)::bigint FROM ivr.rejects AS r
        WHERE r.source = w.source AND r.table_name = w.table_name) AS waiting
FROM ivr.watermarks AS w
