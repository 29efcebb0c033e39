"""Questions to a database about who waits for whom.

A server tells of all its databases, and a node has open transactions and waits of its own: a test
asks for what it means, its own database or one session. `pg_stat_activity` would tell the same
all through a transaction; `pg_locks` tells what is.
"""

# Whether somebody on this database waits for a lock: for tests that have no node beside them.
BLOCKED = """
SELECT count(*) > 0 FROM pg_locks waiting
 WHERE NOT waiting.granted AND EXISTS (
       SELECT FROM pg_locks held JOIN pg_database d ON d.oid = held.database
        WHERE held.pid = waiting.pid AND d.datname = current_database())
"""
# Whether somebody waits for this session.
BLOCKED_BY = """
SELECT count(*) > 0 FROM pg_locks
 WHERE NOT granted AND {pid} = ANY (pg_blocking_pids(pid))
"""
