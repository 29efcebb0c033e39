"""Where a job's function runs: in the loop, in a thread, in a process."""
