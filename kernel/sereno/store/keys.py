"""Advisory lock keys: what they are, so that no two uses meet.

Two-part keys, as ``pg_locks`` shows them: classid is the house's mark, objid the lock. Nodes'
presence locks are their numbers, from 1 up; the leader's is 0.
"""

LOCK_CLASS = 0x5E7E
"""First part of the leader's and of every node's presence lock."""

LEADER_LOCK = 0

MIGRATION_LOCK = 0x5E7E_0A11
"""One-part key of the migrator's transaction lock."""

CHANNEL = "sereno"
"""NOTIFY channel; payloads: ``run``, ``schedule``, ``cancel``, ``handover``, ``over``, ``bulk`` (a
back-fill's too)."""
