-- The span of a back-fill under names of its own: `sereno.prune` has a variable `since`, and could not tell it from the column.
ALTER TABLE sereno.backfill RENAME COLUMN since TO span_start;
ALTER TABLE sereno.backfill RENAME COLUMN until TO span_end;
