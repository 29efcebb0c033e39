-- Log lines of all runs are read in the order in which they were said.
CREATE INDEX run_log_at ON sereno.run_log (at);
