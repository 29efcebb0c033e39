"""Raises, claims and records notifications: what one node has told no other tells again."""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno import CarrierContext, Notification, NotificationKind, Severity
from sereno_notify.query import query

log = logging.getLogger("sereno.notify")

When = Mapping[str, datetime | None]
"""When each notifier may be used first, None for now."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message before it has notifiers. `at`: when it happened; `facts`: JSON values."""

    key: str
    kind: NotificationKind
    severity: Severity
    title: str
    text: str
    at: datetime
    job: str | None = None
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what is kept of it beside its columns."""
        found = {"title": self.title, "text": self.text, "at": self.at, "facts": dict(self.facts)}
        return dict(msgspec.to_builtins(found))


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """What was told, and is not over. `told_at`: when, the longest ago of its notifiers."""

    key: str
    kind: str
    job: str | None
    told_at: datetime


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this node is to send. `attempt` counts from 1. `message`: the row of
    `sereno.message` whose attachments go with it, None for none."""

    notifier: str
    attempt: int
    notification: Notification
    message: int | None = None


async def raise_(
    context: CarrierContext, draft: Draft, when: When, repeat_every: timedelta
) -> set[str]:
    """Queue `draft` for the notifiers in `when` that were not told within `repeat_every`.

    Returns those: two nodes that find out the same get disjoint answers.
    """
    if not when:
        return set()
    async with context.connect() as connection, connection.transaction():
        names = list(when)
        old = await connection.fetch(query("notification_expire"), draft.key, names, repeat_every)
        suppressed = {r["notifier"]: r["repeats"] for r in old}
        rows = await connection.fetch(
            query("notification_raise"),
            draft.key,
            draft.kind,
            draft.severity,
            draft.job,
            draft.to_json(),
            context.node,
            names,
            list(when.values()),
            [suppressed.get(n, 0) for n in names],
        )
    return {r["notifier"] for r in rows if r["new"]}


async def resolve(
    context: CarrierContext, draft: Draft, when: Callable[[Severity], When]
) -> set[str]:
    """Close what `draft` says is over, and queue it for those who had been told.

    `when`: who may hear that something of a severity is over. Returns who had been told: nobody, on
    all nodes but one.
    """
    async with context.connect() as connection, connection.transaction():
        rows = await connection.fetch(query("notification_close"), draft.key)
        for severity in {r["severity"] for r in rows}:
            hearers = when(severity)
            names = [
                r["notifier"]
                for r in rows
                if r["severity"] == severity
                and r["state"] in ("sent", "waiting")
                and r["notifier"] in hearers
            ]
            await connection.execute(
                query("notification_resolve"),
                draft.key,
                draft.kind,
                severity,
                draft.job,
                draft.to_json(),
                context.node,
                names,
                [hearers[n] for n in names],
            )
    return {r["notifier"] for r in rows}


async def opened(context: CarrierContext, kinds: Collection[NotificationKind]) -> dict[str, Open]:
    """Return what was told and is not over, by key."""
    async with context.connect() as connection:
        rows = await connection.fetch(query("notification_open"), list(kinds))
    return {r["key"]: Open(**dict(r)) for r in rows}


async def claim(
    context: CarrierContext,
    notifiers: Collection[str],
    limit: timedelta,
    most: int,
    *,
    once: bool = False,
) -> list[Delivery]:
    """Take what is due for `notifiers`; nobody else has it for `limit`, or with `once` ever."""
    found = []
    async with context.connect() as connection:
        facts = (context.node, list(notifiers), limit, most, once)
        for row in await connection.fetch(query("notification_claim"), *facts):
            try:
                found.append(_delivery(row))
            except (msgspec.ValidationError, OverflowError) as error:
                log.error(
                    "a notification cannot be read",
                    extra={"notification": row["id"], "about": row["key"], "error": str(error)},
                )
                fault = f"it cannot be read: {error}"
                failed = (row["id"], row["attempts"], "failed", fault, None)
                await connection.execute(query("notification_done"), *failed)
    return found


def _delivery(row: Mapping[str, Any]) -> Delivery:
    columns = ("id", "key", "kind", "severity", "job", "resolved", "suppressed")
    known = row["message"] if isinstance(row["message"], dict) else {}
    facts = {
        **known,
        **{name: row[name] for name in columns},
        "message_id": str(row["token"]),
    }
    return Delivery(
        notifier=row["notifier"],
        attempt=row["attempts"],
        notification=msgspec.convert(facts, Notification),
        message=row["message_id"],
    )


async def done(
    context: CarrierContext,
    delivery: Delivery,
    error: str | None = None,
    again: timedelta | None = None,
    *,
    unknown: bool = False,
) -> None:
    """Record that `delivery` was made, or why it was not and when it is tried again (None: never).

    `unknown`: it may have arrived all the same.
    """
    final = "unknown" if unknown else "failed"
    state = "sent" if error is None else final if again is None else "waiting"
    async with context.connect() as connection:
        await connection.execute(
            query("notification_done"),
            delivery.notification.id,
            delivery.attempt,
            state,
            error,
            again,
        )


async def prune(context: CarrierContext, keep: timedelta, most: int = 1000) -> bool:
    """Forget a batch of what was told longer ago than `keep`; tell whether there may be more."""
    async with context.connect() as connection:
        done = await connection.execute(query("notification_prune"), keep, most)
    return bool(done == f"DELETE {most}")


async def run_state(context: CarrierContext, run_id: int) -> str | None:
    """Return the state of a run, None when it is not known."""
    async with context.connect() as connection:
        state: str | None = await connection.fetchval(query("run_state"), run_id)
    return state
