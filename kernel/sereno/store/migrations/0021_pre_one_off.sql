-- One-offs whose slot is settled are found by a new leader.
CREATE INDEX schedule_one_off ON sereno.schedule (id) WHERE declared ? 'one_off' OR overrides ? 'one_off';
