-- Calendars that schedules share, and blackouts. A replica of the version before reads neither: versions of schedules hold
-- the days, and it runs what falls into a blackout.

CREATE TABLE sereno.calendar (
    name       text PRIMARY KEY,
    declared   text[],                          -- the days of the settings; null: they do not name it
    days       text[],                          -- what people have put in their place
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason     text NOT NULL DEFAULT ''
);

CREATE TABLE sereno.blackout (                  -- slots in [starts_at, ends_at) of schedules like the pattern are skipped
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pattern   text NOT NULL,                    -- of schedules' or jobs' names
    plugin    text,                             -- for all of its jobs; then the pattern is *
    starts_at timestamptz NOT NULL,
    ends_at   timestamptz NOT NULL,
    meant_end timestamptz NOT NULL,             -- its end as it was made: `ends_at` is earlier where somebody has ended it
    reason    text NOT NULL,
    name      text,                             -- in the settings, null: a person's
    made_by   text NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_by  text
);
CREATE INDEX blackout_ends ON sereno.blackout (ends_at);
CREATE INDEX schedule_calendar ON sereno.schedule (id)
    WHERE declared ->> 'trigger' LIKE '%calendar=%' OR overrides ->> 'trigger' LIKE '%calendar=%';
