"""Reads what jobs have said to people, which the kernel keeps: routed once, carried whole."""

from collections.abc import Callable
from datetime import timedelta

import msgspec

from sereno import Attachment, CarrierContext, Notification, Severity
from sereno_notify.notifications import When
from sereno_notify.query import query

CarriersOf = Callable[["WaitingMessage"], When]
"""Who is to carry a message, each from when on."""


class WaitingMessage(msgspec.Struct, frozen=True):
    """A message that has no carriers yet. `to_anyone`: it names no addresses."""

    id: int
    job: str
    severity: Severity
    to_anyone: bool


async def route(
    context: CarrierContext, most: int, carriers_of: CarriersOf
) -> list[tuple[WaitingMessage, When]]:
    """Give what waits to those who are to carry it; return each with them. Raises StoreError."""
    done = []
    async with context.connect() as connection, connection.transaction():
        for row in await connection.fetch(query("messages_to_route"), most):
            message = WaitingMessage(row["id"], row["job"], row["severity"], not row["addresses"])
            when = carriers_of(message)
            names, due = list(when), list(when.values())
            await connection.execute(query("message_route"), message.id, context.node, names, due)
            done.append((message, when))
    return done


async def with_attachments(
    context: CarrierContext, notification: Notification, message: int
) -> Notification:
    """Return `notification` with what is attached to the message."""
    async with context.connect() as connection:
        rows = await connection.fetch(query("message_attachments"), message)
    files = tuple(Attachment(**dict(row)) for row in rows)
    return msgspec.structs.replace(notification, attachments=files)


async def prune_messages(context: CarrierContext, keep: timedelta, most: int = 100) -> bool:
    """Forget a batch of what was said longer ago; tell whether there may be more."""
    async with context.connect() as connection:
        done = await connection.execute(query("message_prune"), keep, most)
    return bool(done == f"DELETE {most}")
