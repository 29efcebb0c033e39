-- A key, without which rows can not be deleted any more once the table is published, as for a switch-over to another server.

ALTER TABLE sereno_console.log_in_failure ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
