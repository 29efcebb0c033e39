"""Keeps what jobs have to say to people: with the run's ownership, once, for who carries it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from sereno.model.message import Message
from sereno.model.run import SaidMessage
from sereno.store.pool import Database
from sereno.store.sql import sql

Messages = tuple[int, int, UUID, Sequence[SaidMessage]]
"""Run, attempt, token, what the attempt has said."""


class Unheard(msgspec.Struct, frozen=True):
    """How many messages nobody carries. `newest`: when the last of them was said."""

    messages: int
    newest: datetime | None


async def write_messages(db: Database, node: UUID, messages: Sequence[Messages]) -> None:
    """Keep messages of attempts that are still this node's; again changes nothing."""
    async with db.transaction() as connection:
        await keep_messages(connection, node, messages)


async def keep_messages(
    connection: asyncpg.Connection, node: UUID | None, messages: Sequence[Messages]
) -> None:
    """Keep `messages` in the transaction that is open; `node` None: it has written the outcome."""
    for run_id, attempt, token, said in messages:
        for one in said:
            files = one.message.attachments
            await connection.execute(
                sql("message_write"),
                node,
                run_id,
                attempt,
                token,
                one.token,
                one.message.severity,
                _content(one.message),
                [file.name for file in files],
                [file.media_type for file in files],
                [file.data for file in files],
            )


def _content(message: Message) -> dict[str, object]:
    return {
        "title": message.title,
        "text": message.text,
        "html": message.html,
        "to": list(message.to),
    }


async def keep_unheard(db: Database, most: int = 100) -> list[tuple[str, int]]:
    """Keep a batch of what jobs have said as heard by nobody; return job and row of each."""
    return [(r["job"], r["id"]) for r in await db.fetch("messages_keep", most)]


async def unheard(db: Database) -> Unheard:
    """Return what nobody heard; raises StoreError."""
    row = await db.fetchrow("messages_unheard")
    return Unheard(0, None) if row is None else Unheard(**dict(row))


async def prune_messages(db: Database, keep: timedelta, most: int = 100) -> bool:
    """Forget a batch of what was said longer ago; tell whether there may be more."""
    done = await db.execute("message_prune", keep, most)
    return done == f"DELETE {most}"
