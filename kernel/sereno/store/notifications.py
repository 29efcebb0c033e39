"""Raises, claims and records notifications: what one node has told no other tells again."""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sereno.model.notification import Notification, NotificationKind
from sereno.model.policies import Severity
from sereno.model.stored_json import json_object
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Database, Record
from sereno.store.sql import sql

log = logging.getLogger("sereno.notify")

HOOKS = ""
"""The notifier that stands for plugins' hooks: a row of it says that their event was told."""

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
    """What was told, and is not over. `told_at`: when, the longest ago of its notifiers, None when
    plugins' hooks alone were told."""

    key: str
    kind: NotificationKind
    job: str | None
    told_at: datetime | None


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this node is to send. `attempt` counts from 1. `message`: the row of
    `sereno.message` whose attachments go with it, None for none."""

    notifier: str
    attempt: int
    notification: Notification
    message: int | None = None


async def raise_(
    db: Database, node: UUID, draft: Draft, when: When, repeat_every: timedelta
) -> set[str]:
    """Queue `draft` for the notifiers in `when` that were not told within `repeat_every`.

    Returns those: two nodes that find out the same get disjoint answers.
    """
    if not when:
        return set()
    async with db.transaction() as connection:
        names = list(when)
        old = await connection.fetch(sql("notification_expire"), draft.key, names, repeat_every)
        suppressed = {r["notifier"]: r["repeats"] for r in old}
        rows = await connection.fetch(
            sql("notification_raise"),
            draft.key,
            draft.kind,
            draft.severity,
            draft.job,
            draft.to_json(),
            node,
            names,
            list(when.values()),
            [suppressed.get(n, 0) for n in names],
        )
    return {r["notifier"] for r in rows if r["new"]}


async def resolve(
    db: Database, node: UUID, draft: Draft, when: Callable[[Severity], When]
) -> set[str]:
    """Close what `draft` says is over, and queue it for those who had been told.

    `when`: who may hear that something of a severity is over. Returns who had been told: nobody, on
    all nodes but one.
    """
    async with db.transaction() as connection:
        rows = await connection.fetch(sql("notification_close"), draft.key)
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
                sql("notification_resolve"),
                draft.key,
                draft.kind,
                severity,
                draft.job,
                draft.to_json(),
                node,
                names,
                [hearers[n] for n in names],
            )
    return {r["notifier"] for r in rows}


async def opened(db: Database, kinds: Collection[NotificationKind]) -> dict[str, Open]:
    """Return what was told and is not over, by key."""
    rows = await db.fetch("notification_open", list(kinds))
    return {r["key"]: Open(**dict(r)) for r in rows}


async def claim(
    db: Database,
    node: UUID,
    notifiers: Collection[str],
    limit: timedelta,
    most: int,
    *,
    once: bool = False,
) -> list[Parcel]:
    """Take what is due for `notifiers`; nobody else has it for `limit`, or with `once` ever."""
    found = []
    for row in await db.fetch("notification_claim", node, list(notifiers), limit, most, once):
        try:
            found.append(_parcel(row))
        except (msgspec.ValidationError, OverflowError) as error:
            log.error(
                "a notification cannot be read",
                extra={"notification": row["id"], "about": row["key"], "error": str(error)},
            )
            fault = f"it cannot be read: {error}"
            await db.execute("notification_done", row["id"], row["attempts"], "failed", fault, None)
    return found


def _parcel(row: Record) -> Parcel:
    columns = ("id", "key", "kind", "severity", "job", "resolved", "suppressed")
    facts = {
        **json_object(row["message"]),
        **{name: row[name] for name in columns},
        "message_id": str(row["token"]),
    }
    return Parcel(
        notifier=row["notifier"],
        attempt=row["attempts"],
        notification=msgspec.convert(facts, Notification),
        message=row["message_id"],
    )


async def done(
    db: Database,
    parcel: Parcel,
    error: str | None = None,
    again: timedelta | None = None,
    *,
    unknown: bool = False,
) -> None:
    """Record that `parcel` was sent, or why it was not and when it is tried again (None: never).

    `unknown`: it may have arrived all the same.
    """
    final = "unknown" if unknown else "failed"
    state = "sent" if error is None else final if again is None else "waiting"
    await db.execute(
        "notification_done", parcel.notification.id, parcel.attempt, state, error, again
    )


async def prune(db: Database, keep: timedelta, most: int = 1000) -> bool:
    """Forget a batch of what was told longer ago than `keep`; tell whether there may be more."""
    done = await db.execute("notification_prune", keep, most)
    return done == f"DELETE {most}"


async def run_state(db: Database, run_id: int) -> tuple[str, str | None] | None:
    """Return the state of a run and its error, None when it is not known."""
    row = await db.fetchrow("notification_run", run_id)
    return None if row is None else (row["state"], row["error"])


async def led(db: Database) -> bool:
    """Tell whether any node leads."""
    return bool(await db.fetchval("leader_held", LOCK_CLASS, LEADER_LOCK))
