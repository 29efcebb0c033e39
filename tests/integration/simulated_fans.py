"""Chains and fan-outs of the simulated year, and what must follow by the world's own reckoning."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sereno.client import Client
from sereno.engine.fan_out import fan_out
from sereno.model.errors import ConflictError, NotFoundError, ParamsError, RunSuperseded
from sereno.model.fan_out import OnFailure
from sereno.model.job import Job, job
from sereno.model.ledger import Claim
from sereno.model.run import Outcome
from sereno.store import runs
from sereno.store.fan_outs import fan_out_request
from sereno.store.pool import Database

JOIN = "plugin2.join"
AFTER = "plugin0.after"
MERGE = "plugin1.merge"
UPSTREAM = "plugin0.job9"
TWO = ("plugin1.job1", "plugin2.job2")
LIVE = ("queued", "running")

_CHILDREN = "SELECT id, fan_out, state, params, repeats FROM sereno.run WHERE fan_out IS NOT NULL"
_JOINS = """
SELECT id, state, params, upstream -> 'fan-out' AS told FROM sereno.run
 WHERE cause = 'chain' AND upstream ? 'fan-out' ORDER BY id
"""
_FOLLOWED = """
SELECT id, job, params, requested_by FROM sereno.run
 WHERE job = ANY ($1) AND cause = 'chain' AND id > $2 ORDER BY id
"""
_REPEATED_TWICE = """
SELECT repeats, array_agg(id) FROM sereno.run WHERE repeats IS NOT NULL
 GROUP BY repeats HAVING count(*) > 1
"""


async def _nothing(run: Any) -> None:
    """Stand where a job's function stands."""


def chained_jobs() -> list[Job]:
    """Return a job after one, a job after two, both with params handed on, and one that joins."""
    one = job(AFTER, after=[UPSTREAM], params_from={"n": "result.n", "tenant": "params.tenant"})
    both = {"n": f"result.n of {TWO[0]}", "tenant": f"params.tenant of {TWO[1]}"}
    return [
        one(_nothing),
        job(MERGE, after=[*TWO], params_from=both)(_nothing),
        job(JOIN)(_nothing),
    ]


@dataclass
class Fan:
    """A fan-out as the world knows it. `seen`: each child that ever was, and how it stood last."""

    id: int
    parent: int
    key: str
    job: str
    join: str | None
    on_failure: str
    total: int
    seen: dict[int, str] = field(default_factory=dict)
    repeats: dict[int, int] = field(default_factory=dict)
    joins: dict[int, str] = field(default_factory=dict)
    joined: bool = False
    cancelled: bool = False

    @property
    def newest(self) -> dict[int, str]:
        """Return the children that no other repeats."""
        return {n: s for n, s in self.seen.items() if n not in self.repeats.values()}

    @property
    def ended(self) -> int:
        return sum(state not in LIVE for state in self.newest.values())

    @property
    def bad(self) -> set[int]:
        return {n for n, s in self.newest.items() if s not in (*LIVE, "succeeded")}


class Fans:
    """What was fanned out and what is to follow, as far as the world has seen."""

    def __init__(self, db: Database, eye: asyncpg.Connection) -> None:
        self._db = db
        self._eye = eye
        self._fans: dict[int, Fan] = {}
        self._stopped: set[int] = set()
        self._arrived: dict[str, tuple[int, dict[str, Any], Any]] = {}
        self._due: list[tuple[str, tuple[int, ...], dict[str, Any]]] = []
        self._links: dict[int, set[int]] = defaultdict(set)
        self._last = 0
        self.counts = {"joined": 0, "followed": 0, "cancelled": 0, "again": 0}

    @property
    def open(self) -> list[int]:
        """Return those that wait for children."""
        return [f.id for f in self._fans.values() if f.ended < f.total]

    # --- what is asked for --------------------------------------------------------------------

    async def ask(
        self,
        claim: Claim,
        node: UUID,
        job: str,
        count: int,
        *,
        key: str,
        then: str | None,
        on_failure: OnFailure,
        absent: set[str],
    ) -> None:
        """Fan a run out as its job would; an attempt that another has taken over cannot."""
        request = fan_out_request(
            *(claim.run_id, job, [{"tenant": f"t{n % 3}", "n": n} for n in range(count)]),
            then=then,
            then_params=None if then is None else {"tenant": "t0"},
            on_failure=on_failure,
            key=key,
            priority=None,
            trace_context=None,
        )
        own = "SELECT 1 FROM sereno.run WHERE id = $1 AND state = 'running' AND token = $2"
        owned = await self._eye.fetchval(own, claim.run_id, claim.token) is not None
        known = [f for f in self._fans.values() if (f.parent, f.key) == (claim.run_id, key)]
        refused = claim.run_id in self._stopped or any(f.job != job for f in known)
        try:
            found = await fan_out(
                self._db.connection,
                request,
                lambda c: runs.fence(c, claim.run_id, claim.attempt, claim.token, node),
                None,
            )
        except RunSuperseded:
            assert not owned
        except NotFoundError:
            assert job in absent
        except ParamsError:
            assert refused
        else:
            assert owned, "a run that is another's fanned out"
            assert not refused
            if known:
                want = (known[0].id, known[0].total, False)
            else:
                want = (found.id, count, True)
                self._fans[found.id] = Fan(
                    found.id, claim.run_id, key, job, then, on_failure, count
                )
            assert (found.id, found.total, found.new) == want

    # --- what ends, and follows ---------------------------------------------------------------

    def refused(self, claim: Claim) -> bool:
        """Tell whether a run must fail as it begins, for what it was to be given."""
        told = (claim.upstream or {}).get("fan-out")
        if told is not None:
            return bool(told["on_failure"] == "fail" and told["failed"])
        return claim.job in (AFTER, MERGE) and not {"n", "tenant"} <= claim.params.keys()

    def succeeded(self, ended: Iterable[tuple[Claim, Outcome]]) -> None:
        """Reckon what follows runs whose success was written by one transaction."""
        for claim, outcome in sorted(ended, key=lambda e: e[0].run_id):
            if claim.run_id in self._stopped:
                continue
            found = msgspec.json.decode(outcome.result or b"null")
            if claim.job == UPSTREAM:
                given = _given(found, claim.params)
                self._due.append((AFTER, (claim.run_id,), given))
            elif claim.job in TWO:
                self._arrived[claim.job] = (claim.run_id, claim.params, found)
                if len(self._arrived) == 2:
                    (first, _, result), (second, params, _) = (self._arrived[n] for n in TWO)
                    self._due.append((MERGE, (*sorted([first, second]),), _given(result, params)))
                    self._arrived.clear()

    # --- people -------------------------------------------------------------------------------

    async def cancel(self, number: int) -> None:
        """Cancel a whole chain: nothing of it waits any more, and nothing follows."""
        start = await self._any(number)
        if start is None:
            return
        await self.check()
        chain, states = await self._chain(start)
        live = {n for n in chain if states[n] in LIVE}
        stops = [f for f in self._fans.values() if f.parent in chain and self._waits(f)]
        try:
            await Client(self._db, requested_by="ana").cancel_chain(start)
        except ConflictError:
            assert not live
        self._stopped |= live
        for fan in stops:
            fan.cancelled = True
            self.counts["cancelled"] += 1
        _, states = await self._chain(start)
        left = {n for n in live if states.get(n) == "queued"}
        assert not left, f"runs {left} of the cancelled chain of run {start} wait"

    async def retry(self, number: int, absent: set[str]) -> None:
        """Try a whole chain again: each failed child once, and what has gone on is left."""
        start = await self._any(number)
        if start is None:
            return
        await self.check()
        chain, states = await self._chain(start)
        again: set[int] = set()
        resumed = []
        for fan in [f for f in self._fans.values() if f.parent in chain]:
            bad = {n for n in fan.bad if n in states}
            goes_on = (
                fan.joined and fan.join is not None and _last(fan.joins) in (*LIVE, "succeeded")
            )
            if bad and not goes_on:
                again |= bad
                resumed.append(fan)
            elif not bad and fan.cancelled and fan.ended == fan.total:
                resumed.append(fan)
        try:
            made = await Client(self._db, requested_by="ana").retry_chain(start)
        except ConflictError:
            assert not again
            made = None
        except NotFoundError:  # a step's job is not there: all or none
            assert absent
            again, resumed, made = set(), [], None
        steps = {} if made is None else made.steps
        for fan in self._fans.values():
            fan.parent = steps.get(fan.parent, fan.parent)
        for fan in resumed:
            fan.cancelled = False
            fan.joined = False if fan.bad & again else fan.joined
        self.counts["again"] += len(again)
        rows = await self._eye.fetch(
            "SELECT repeats FROM sereno.run WHERE repeats = ANY ($1::bigint[])", [*again]
        )
        assert {r["repeats"] for r in rows} == again
        assert made is None or made.children == len(again), (made, again)

    async def _any(self, number: int) -> int | None:
        """Return a run of a chain that a fan-out belongs to."""
        ids = [n for f in self._fans.values() for n in (f.parent, *f.seen, *f.joins)]
        rows = await self._eye.fetch("SELECT id FROM sereno.run WHERE id = ANY ($1::bigint[])", ids)
        found = sorted({r["id"] for r in rows})
        return found[number % len(found)] if found else None

    def _waits(self, fan: Fan) -> bool:
        return not fan.cancelled and (
            fan.ended < fan.total or (fan.join is not None and not fan.joined)
        )

    async def _chain(self, start: int) -> tuple[set[int], dict[int, str]]:
        """Return the runs that `start` led to and that led to it, of those whose rows are there."""
        rows = await self._eye.fetch(
            "SELECT id, state, cause, requested_by, repeats FROM sereno.run"
        )
        states = {r["id"]: r["state"] for r in rows}
        near: dict[int, set[int]] = defaultdict(set)
        for row in rows:
            if row["repeats"] is not None:
                near[row["id"]].add(row["repeats"])
                near[row["repeats"]].add(row["id"])
            elif row["cause"] == "chain":
                near[row["id"]] |= {int(n) for n in re.findall(r"\d+", row["requested_by"])}
        for fan in self._fans.values():
            near[fan.parent] |= {*fan.seen, *fan.joins}
        for before, after in self._links.items():
            near[before] |= after
        found, waiting = set(), [start]
        while waiting:
            one = waiting.pop()
            if one in states and one not in found:
                found.add(one)
                waiting += near[one]
        return found, states

    # --- the proof ----------------------------------------------------------------------------

    async def check(self) -> None:
        """Require that what was due has followed, once, with what it was to be given, and no
        more."""
        await self._check_followed()
        children: dict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in await self._eye.fetch(_CHILDREN):
            children[row["fan_out"]].append(row)
        joins: dict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in await self._eye.fetch(_JOINS):
            joins[msgspec.json.decode(row["told"])["id"]].append(row)
        rows = {r["id"]: r for r in await self._eye.fetch("SELECT * FROM sereno.fan_out")}
        assert rows.keys() <= self._fans.keys(), "a fan-out that nobody asked for"
        for fan in [*self._fans.values()]:
            self._children(fan, children[fan.id])
            self._joins(fan, joins[fan.id])
            self._counted(fan, rows.get(fan.id))
        twice = await self._eye.fetch(_REPEATED_TWICE)
        assert not twice, [tuple(r) for r in twice]

    async def _check_followed(self) -> None:
        rows = await self._eye.fetch(_FOLLOWED, [AFTER, MERGE], self._last)
        found = sorted(
            (r["job"], (*map(int, re.findall(r"\d+", r["requested_by"])),), r["params"])
            for r in rows
        )
        want = sorted((j, n, msgspec.json.encode(p)) for j, n, p in self._due)
        told = [(j, n, msgspec.json.decode(p)) for j, n, p in found]
        assert told == [(j, n, msgspec.json.decode(p)) for j, n, p in want]
        for row in rows:
            for n in re.findall(r"\d+", row["requested_by"]):
                self._links[int(n)].add(row["id"])
        self._last = max([self._last, *(r["id"] for r in rows)])
        self.counts["followed"] += len(rows)
        self._due.clear()

    def _children(self, fan: Fan, rows: Sequence[asyncpg.Record]) -> None:
        new = [r for r in rows if r["id"] not in fan.seen]
        first = sorted(msgspec.json.decode(r["params"])["n"] for r in new if r["repeats"] is None)
        assert first == ([*range(fan.total)] if not fan.seen else []), (fan, first)
        for row in new:
            if row["repeats"] is not None:
                assert row["repeats"] not in fan.repeats.values(), "a child is tried again twice"
                fan.repeats[row["id"]] = row["repeats"]
        here = {r["id"]: r["state"] for r in rows}
        gone = {n: s for n, s in fan.seen.items() if n not in here and s in LIVE}
        assert not gone, f"children {gone} are gone and were not over"
        fan.seen |= here

    def _joins(self, fan: Fan, rows: Sequence[asyncpg.Record]) -> None:
        over = fan.ended == fan.total and not fan.cancelled and fan.join is not None
        new = [r for r in rows if r["id"] not in fan.joins]
        assert len(new) == (over and not fan.joined), (fan, [tuple(r) for r in new])
        for row in new:
            told = msgspec.json.decode(row["told"])
            bad = [*sorted(fan.bad)]
            want = (fan.total, fan.total - len(bad), len(bad), fan.on_failure, fan.parent)
            names = ("total", "succeeded", "failed", "on_failure", "run_id")
            assert tuple(told[n] for n in names) == want, (fan, told)
            assert told["failed_runs"] == bad, (fan, told)
            assert msgspec.json.decode(row["params"]) == {"tenant": "t0"}
            self.counts["joined"] += 1
        fan.joined = fan.joined or over
        fan.joins |= {r["id"]: r["state"] for r in rows}

    def _counted(self, fan: Fan, row: asyncpg.Record | None) -> None:
        if row is None:  # cleared away, as nothing of it is left
            assert fan.ended == fan.total, f"{fan} is gone and waits"
            del self._fans[fan.id]
            return
        told = (row["total"], row["ended"], row["failed"], row["run_id"])
        assert told == (fan.total, fan.ended, len(fan.bad), fan.parent), (fan, dict(row))


def _given(result: Any, params: dict[str, Any]) -> dict[str, Any]:
    n = {"n": result["n"]} if result and "n" in result else {}
    return {**n, "tenant": params["tenant"]} if "tenant" in params else n


def _last(joins: dict[int, str]) -> str | None:
    return joins[max(joins)] if joins else None
