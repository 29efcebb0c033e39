"""A month of a call center at random: every figure is what the generator knows."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from sereno_reports.figures import Figures

from .conftest import Make
from .exchange import Exchange
from .kept import cards, rows

DECIMALS = "ALTER TABLE pbx.cdr ALTER duration TYPE numeric(10,3), ALTER billsec TYPE numeric(10,3)"
AWAY = 12  # on this day of the month nothing could be loaded
CHANGED = 16  # from this one on durations have decimals
LAST = 31


class Known:
    """What the generator knows of the month: counts by name, and by day, queue and agent."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.days: dict[str, Counter[str]] = {}
        self.queues: dict[str, Counter[str]] = {}
        self.agents: dict[str, Counter[str]] = {}
        self.waits: list[int] = []

    def count(self, day: str, **counts: int) -> None:
        for one in (self.total, self.days.setdefault(day, Counter())):
            one.update(counts)

    def entry(self, queue: str, **counts: int) -> None:
        self.queues.setdefault(queue, Counter()).update(entries=1, **counts)

    def talked(self, agent: str, seconds: int) -> None:
        self.agents.setdefault(agent, Counter()).update(handled=1, talk_s=seconds)


async def some_call(rng: random.Random, pbx: Exchange, known: Known, at: Any, day: str) -> None:
    kind = rng.choices(
        ["ivr", "out", "gave up", "answered", "passed on", "overflow"], [2, 2, 3, 8, 2, 2]
    )
    queue, agent = rng.choice(["400", "410", "420"]), rng.choice(["201", "202", "203", "204"])
    ivr, wait, talk = rng.randrange(3, 40), rng.randrange(60), rng.randrange(5, 600)
    match kind[0]:
        case "ivr":
            await pbx.hung_up_in_ivr(at)
            known.count(day, calls=1, ivr=1)
        case "out":
            await pbx.dialled_out(at, "902100200", agent=agent, talk=talk)
            known.count(day, outbound=1)
        case "gave up":
            await pbx.queued(at, ivr=ivr, wait=wait, queue=queue)
            is_short = wait <= 5
            known.count(day, calls=1, abandoned=not is_short, short=is_short)
            known.queues.setdefault(queue, Counter()).update(
                entries=not is_short, entries_abandoned=not is_short
            )
        case "answered" | "passed on":
            second = {"to_second": "205", "second_talk": 77} if kind[0] == "passed on" else {}
            await pbx.queued(
                at,
                ivr=ivr,
                wait=wait,
                talk=talk,
                queue=queue,
                agent=agent,
                **second,  # type: ignore[arg-type]
            )
            known.count(day, calls=1, answered=1, level_in=wait <= 20, transfers=bool(second))
            known.entry(queue, entries_answered=1, entries_level_in=wait <= 20, wait_s=wait)
            known.waits.append(wait)
            known.talked(agent, talk)
            if second:
                known.talked("205", 77)
        case "overflow":
            await overflowed(pbx, at, ivr, wait, talk, agent)
            known.count(day, calls=1, answered=1, level_in=30 + wait <= 20)
            known.entry("400", entries_left=1)
            known.entry("420", entries_answered=1, entries_level_in=wait <= 20, wait_s=wait)
            known.waits.append(wait)
            known.talked(agent, talk)


async def overflowed(pbx: Exchange, at: Any, ivr: int, wait: int, talk: int, agent: str) -> None:
    """A caller waits for 30 s in queue 400, and goes on to 420."""
    call = pbx.new_call(at)
    entered = at + timedelta(seconds=ivr)
    left = entered + timedelta(seconds=30)
    connected = left + timedelta(seconds=wait)
    await pbx.event(entered, call, "400", "NONE", "ENTERQUEUE", "", "600", 1)
    await pbx.event(left, call, "400", "NONE", "EXITWITHTIMEOUT", 1, 1, 30)
    await pbx.event(left, call, "420", "NONE", "ENTERQUEUE", "", "600", 1)
    await pbx.event(connected, call, "420", f"PJSIP/{agent}", "CONNECT", wait, "1", 3)
    over = connected + timedelta(seconds=talk)
    await pbx.event(over, call, "420", f"PJSIP/{agent}", "COMPLETEAGENT", wait, talk, 1)
    whole = ivr + 30 + wait + talk
    for queue, to in (("400", ""), ("420", f"PJSIP/{agent}-1")):
        await pbx.leg(
            call, at, dst=queue, to=to, app="Queue", data=queue, duration=whole, talk=whole
        )


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_month_at_random_is_what_the_generator_knows(
    pbx: Exchange, make: Make, seed: int
) -> None:
    rng, known = random.Random(seed), Known()
    for number in range(1, LAST + 1):  # October: the clocks go back on the 27th
        day = f"2024-10-{number:02}"
        if number == CHANGED:
            await pbx.connection.execute(DECIMALS)
        for _ in range(rng.randrange(4, 16)):
            start = pbx.at(f"{day}T00:00:00") + timedelta(seconds=rng.randrange(60, 86_000))
            at = pbx.at(start.replace(tzinfo=None).isoformat(), fold=rng.randrange(2))
            await some_call(rng, pbx, known, at, day)
        if number % 5 == 0 and number != AWAY:
            await pbx.load()
    await pbx.load()
    await make({"day": "2024-10-31"}, report="monthly")
    row = await pbx.connection.fetchval(
        "SELECT figures::text FROM sereno_reports.report WHERE name = 'monthly'"
    )
    figures = msgspec.json.decode(row, type=Figures)
    check(figures, known)
    for number in (1, AWAY, CHANGED, 27, LAST):
        day = f"2024-10-{number:02}"
        told = await make({"day": day})
        assert told["calls"] == known.days[day]["calls"], day
        assert told["answered"] == known.days[day]["answered"], day


def check(figures: Figures, known: Known) -> None:
    (total,) = rows(figures, "outcomes")
    for name in ("calls", "answered", "abandoned", "short", "ivr", "outbound", "level_in"):
        assert total[name] == known.total[name], name
    answered, abandoned = known.total["answered"], known.total["abandoned"]
    level = known.total["level_in"] / (answered + abandoned)
    told = cards(figures)
    assert told["service_level"] == pytest.approx(level, abs=1e-4)
    assert told["answer"] == pytest.approx(sum(known.waits) / len(known.waits), abs=1e-3)
    talk = sum(agent["talk_s"] for agent in known.agents.values())
    talks = sum(agent["handled"] for agent in known.agents.values())
    assert told["handling"] == pytest.approx(talk / talks, abs=1e-3)
    (waits,) = rows(figures, "waits")
    ranked = sorted(known.waits)
    assert waits["wait_p50"] == ranked[(len(ranked) + 1) // 2 - 1]
    assert waits["wait_p90"] == ranked[-(-len(ranked) * 9 // 10) - 1]
    assert (waits["wait_longest"], waits["transfers"]) == (ranked[-1], known.total["transfers"])
    days = {row["label"]: row for row in rows(figures, "days")}
    assert len(days) == LAST
    for day, counts in known.days.items():
        for name in ("calls", "answered", "abandoned", "level_in"):
            assert days[day][name] == counts[name], (day, name)
    queues = {row["number"]: row for row in rows(figures, "queues")}
    for queue, counts in known.queues.items():
        for name, count in counts.items():
            assert queues[queue][name] == count, (queue, name)
    agents = {row["number"]: row for row in rows(figures, "agents")}
    for agent, counts in known.agents.items():
        assert (agents[agent]["handled"], agents[agent]["talk_s"]) == (
            counts["handled"],
            counts["talk_s"],
        ), agent
