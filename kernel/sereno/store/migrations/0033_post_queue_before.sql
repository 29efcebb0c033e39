-- Nobody looks for what waits by `run_queue` any more: `run_free` and `run_turn` took its place.
DROP INDEX IF EXISTS sereno.run_queue;
