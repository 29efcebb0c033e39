"""Keeps what is asked of the node that works on a run, and what it answers."""

from uuid import UUID

import asyncpg
import msgspec

from sereno.store.pool import Database


class NodeAnswer(msgspec.Struct, frozen=True):
    """How a request stands. `text`: the answer, once there is one."""

    answered: bool
    text: str | None


async def ask(db: Database, run_id: int, verb: str, by: str) -> int | None:
    """Ask the node that works on a run; return the request, None where no node does."""
    number: int | None = await db.fetchval("node_request_make", run_id, verb, by)
    return number


async def read(db: Database, request: int) -> NodeAnswer | None:
    """Return how a request stands, None where it is gone, as with its run."""
    rows = await db.fetch("node_request_read", request)
    return NodeAnswer(rows[0]["answered"], rows[0]["answer"]) if rows else None


async def waiting(db: Database, node: UUID) -> list[asyncpg.Record]:
    """Return id, verb and token of what is asked of this node."""
    return await db.fetch("node_requests", node)


async def answer(db: Database, request: int, text: str) -> None:
    """Answer a request; the first answer counts."""
    await db.execute("node_request_answer", request, text)
