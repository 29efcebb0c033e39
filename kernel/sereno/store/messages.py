"""Keeps what jobs have to say to people: with the run's ownership, once, and until it is routed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from sereno.model.message import Attachment, Message
from sereno.model.notification import Notification
from sereno.model.policies import Severity
from sereno.model.run import SaidMessage
from sereno.model.stored_json import json_object
from sereno.store.notifications import When
from sereno.store.pool import Database
from sereno.store.sql import sql

CarriersOf = Callable[["WaitingMessage"], When]
"""Who is to carry a message, each from when on."""

Messages = tuple[int, int, UUID, Sequence[SaidMessage]]
"""Run, attempt, token, what the attempt has said."""


class WaitingMessage(msgspec.Struct, frozen=True):
    """A message that has no carriers yet. `to_anyone`: it names no addresses."""

    id: int
    job: str
    severity: Severity
    to_anyone: bool


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


async def route(
    db: Database, node: UUID, most: int, carriers_of: CarriersOf
) -> list[tuple[WaitingMessage, When]]:
    """Give what waits to those who are to carry it; return each with them. Raises StoreError."""
    done = []
    async with db.transaction() as connection:
        for row in await connection.fetch(sql("messages_to_route"), most):
            known = json_object(row["message"])
            severity: Severity = row["severity"]
            message = WaitingMessage(row["id"], row["job"], severity, not known.get("to"))
            when = carriers_of(message)
            names, due = list(when), list(when.values())
            await connection.execute(sql("message_route"), message.id, node, names, due)
            done.append((message, when))
    return done


async def with_attachments(db: Database, notification: Notification, message: int) -> Notification:
    """Return `notification` with what is attached to the message."""
    rows = await db.fetch("message_attachments", message)
    files = tuple(Attachment(**dict(row)) for row in rows)
    return msgspec.structs.replace(notification, attachments=files)


async def unheard(db: Database) -> Unheard:
    """Return what nobody heard; raises StoreError."""
    row = await db.fetchrow("messages_unheard")
    return Unheard(0, None) if row is None else Unheard(**dict(row))


async def prune_messages(db: Database, keep: timedelta, most: int = 100) -> bool:
    """Forget a batch of what was said longer ago; tell whether there may be more."""
    done = await db.execute("message_prune", keep, most)
    return done == f"DELETE {most}"
