"""Runs on their way to the node that is to work on them, what nodes offer, and what they say to the
leader.

A message to one node goes over a channel of its own, that is called as its session is: what
concerns one wakes no other's program.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from sereno.model.errors import LeaseLostError
from sereno.store.keys import CHANNEL, LOCK_CLASS
from sereno.store.pool import Database
from sereno.store.shown_rows import shown
from sereno.store.sql import sql

OF_NODE = f"{CHANNEL} "
"""How the name of a node's channel begins, which its id ends."""

NOWHERE = UUID(int=0)
"""The node that is none: a part names it while it waits, and nobody else takes it for that."""

AT_ONCE = 250
"""Runs handed over by one statement: a message is shorter than 8,000 bytes."""

_SAID_AT_ONCE = 200


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a node can be handed. `places`: attempts at once by executor, None: no bound of its own,
    0: it knows the executor, whose places are other nodes', or, of those in `closing`, which may
    close all their places for a while, as good as none; `declared`: a digest of each job that
    it knows; `label`: as people call the node; `host`: the machine it is on, by an id that survives
    restarts."""

    places: Mapping[str, int | None] = {}
    closing: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    declared: Mapping[str, str] = {}
    label: str = ""
    host: str | None = None
    host_name: str | None = None


class OfferingNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node that is there. `declared`: None where it was read before."""

    id: UUID
    label: str
    places: dict[str, int | None]
    labels: tuple[str, ...] = ()
    declared: dict[str, str] | None = None
    host: str | None = None
    host_name: str | None = None


class HandedRuns(msgspec.Struct, frozen=True):
    """Runs that were handed to a node under `term`, in their order. `parted`: they are parts.
    `line`: the executor for places of which they stand in line there, None: theirs are free."""

    term: int
    parted: bool
    line: str | None
    runs: list[int]


class EndedElsewhere(msgspec.Struct, frozen=True):
    """A run's attempt that is over on another node than the leader's. `again`: it is queued."""

    run_id: int
    attempt: int
    again: bool


async def offer(db: Database, node: UUID, what: Offer) -> None:
    """Say in a node's row what it can be handed."""
    places = {name: n for name, n in what.places.items() if n != 0 or name in what.closing}
    said = (places, list(what.labels), what.declared, what.host, what.host_name)
    await db.execute("node_offer", node, *said)


async def withdraw(db: Database, node: UUID) -> None:
    """Say that it is to be handed nothing more, and give back what it has not begun."""
    await db.execute("node_withdraw", node, OF_NODE)


async def offering(db: Database, leader: UUID, known: Sequence[UUID]) -> list[OfferingNode]:
    """Return the nodes besides `leader` that can be handed runs; `known`: whose declarations were
    read before."""
    rows = await db.fetch("nodes_offering", LOCK_CLASS, leader, list(known))
    return shown(rows, OfferingNode)


async def hand_over(
    db: Database,
    term: int,
    runs: Sequence[int],
    nodes: Sequence[UUID],
    *,
    lines: Sequence[str | None] = (),
    parts: bool = False,
    silent: UUID | None = None,
) -> dict[int, int]:
    """Hand `runs` over, each to the node at its place in `nodes`; raises LeaseLostError.

    `lines`: of each the executor for a place of which it stands in line there, None where one is
    free. `parts`: they are parts, at places that those nodes are of; `silent`: a node that needs
    not be told. Returns the attempts that those ended before which were handed; the others wait no
    longer.
    """
    given = (list(runs), list(nodes), OF_NODE, NOWHERE if parts else None)
    async with db.connection_for(len(runs)) as connection:
        rows = await connection.fetch(sql("runs_hand_over"), term, *given, silent, list(lines))
        if not rows and await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its queue is another node's")
    return {row["id"]: row["attempt"] for row in rows}


async def hand_back(db: Database, term: int, runs: Sequence[int] | None) -> set[int]:
    """Have those of `runs` wait again that their node has not claimed, and return them.

    None: all that were handed over under another term.
    """
    given = None if runs is None else list(runs)
    return {row["id"] for row in await db.fetch("runs_hand_back", term, given)}


async def notify_ended(db: Database, ended: Sequence[EndedElsewhere]) -> None:
    """Tell the leader, which is another node, of attempts that are over, by number."""
    words = [f"{e.run_id}/{e.attempt}{'q' if e.again else ''}" for e in ended]
    parts = [words[n : n + _SAID_AT_ONCE] for n in range(0, len(words), _SAID_AT_ONCE)]
    async with db.connection_for(len(parts)) as connection:
        messages = [f"over {' '.join(part)}" for part in parts]
        await connection.execute(sql("leader_told"), OF_NODE, messages)


def ended_in(message: str) -> list[EndedElsewhere]:
    """Return what a message of `notify_ended` says; of anything else nothing."""
    found = []
    for word in message.split()[1:]:
        number, _, attempt = word.partition("/")
        if number.isdecimal() and attempt.rstrip("q").isdecimal():
            again = attempt.endswith("q")
            found.append(EndedElsewhere(int(number), int(attempt.rstrip("q")), again))
    return found


def handed_in(message: str) -> HandedRuns | None:
    """Return what a message hands to a node; of anything else nothing."""
    words = message.split()
    known = {"handed": 3, "parts": 3, "line": 4}
    if not words or len(words) != known.get(words[0]) or not words[1].isdecimal():
        return None
    return HandedRuns(
        term=int(words[1]),
        parted=words[0] == "parts",
        line=words[3] if words[0] == "line" else None,
        runs=[int(n) for n in words[2].split(",") if n.isdecimal()],
    )
