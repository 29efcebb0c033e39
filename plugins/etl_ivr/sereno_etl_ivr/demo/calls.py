"""Invents calls as an exchange with an IVR, a queue and some agents writes them: pure."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

LONGEST = timedelta(minutes=10)
COLUMNS = (
    *("calldate", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata"),
    *("duration", "billsec", "disposition", "accountcode", "uniqueid", "userfield", "linkedid"),
    "sequence",
)
_QUEUES = ("400", "410", "420")
_AGENTS = tuple(str(number) for number in range(201, 213))
# Calls that begin in each hour of a day, as parts of a hundred: a plateau from 9 to 17.
_HOURS = (0, 0, 0, 0, 0, 0, 1, 3, 6, 9, 10, 10, 8, 8, 9, 9, 9, 8, 5, 2, 1, 1, 1, 0)

Rng = random.Random


class Call(msgspec.Struct, frozen=True):
    """A call that has ended: its rows in `COLUMNS`' order, written when it hung up."""

    ended: datetime
    rows: tuple[tuple[Any, ...], ...]


def past(rng: Rng, now: datetime, days: int, count: int, first: int) -> Iterator[Call]:
    """Yield `count` calls of the last `days` days, by the hours of business, oldest first."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begun: list[datetime] = []
    while len(begun) < count:
        day = midnight - timedelta(days=rng.randrange(days + 1))
        (hour,) = rng.choices(range(24), _HOURS)
        at = day + timedelta(hours=hour, seconds=rng.randrange(3600))
        if at < now - LONGEST:
            begun.append(at)
    for number, at in enumerate(sorted(begun)):
        yield call(rng, at, first + 10 * number)


def just_ended(rng: Rng, now: datetime, first: int) -> Call:
    """Return a call that hangs up at `now`: it began before."""
    state = rng.getstate()
    length = call(rng, now, first).ended - now.replace(microsecond=0)
    rng.setstate(state)
    return call(rng, now - length, first)


def call(rng: Rng, begun: datetime, first: int) -> Call:
    """Return a call that begins at `begun` (aware); its rows get up to 10 numbers from `first`."""
    outcome = rng.random()
    menu = round(min(rng.lognormvariate(2.4, 0.5), 60))
    if outcome < 0.06:
        return _Writing(rng, begun, first).hung_up_in_menu(menu)
    if outcome < 0.18:
        return _Writing(rng, begun, first).abandoned(menu, round(rng.lognormvariate(3.6, 1)))
    wait = 0 if rng.random() < 0.48 else round(rng.lognormvariate(3.8, 0.9))
    talk = round(rng.lognormvariate(4.7, 0.9)) + 1
    return _Writing(rng, begun, first).answered(menu, wait, talk)


class _Writing:
    """Writes the rows of one call."""

    def __init__(self, rng: Rng, begun: datetime, first: int) -> None:
        self.rng = rng
        self.begun = begun.replace(microsecond=0)
        self.sequence = first
        self.linkedid = f"{int(begun.timestamp())}.{first}"
        self.number = f"555{rng.randrange(100, 9999):07}"
        self.queue = rng.choice(_QUEUES)
        self.rows: list[tuple[Any, ...]] = []

    def hung_up_in_menu(self, menu: int) -> Call:
        self._caller("s", "ivr-1", "", "BackGround", "custom/welcome", menu)
        return self._ended(menu)

    def abandoned(self, menu: int, wait: int) -> Call:
        wait = min(wait, 300)
        self._ring(menu, wait, answered_by=None)
        self._caller(self.queue, "ext-queues", "", "Queue", f"{self.queue},t,,,300", menu + wait)
        return self._ended(menu + wait)

    def answered(self, menu: int, wait: int, talk: int) -> Call:
        wait, talk = min(wait, 180), min(talk, 300)
        agent = self.rng.choice(_AGENTS)
        length = menu + wait + talk
        self._ring(menu, wait + talk, answered_by=agent, talk=talk)
        channel = f"PJSIP/{agent}-{self.sequence:08x}"
        self._caller(self.queue, "ext-queues", channel, "Queue", f"{self.queue},t,,,300", length)
        return self._ended(length)

    def _caller(
        self, dst: str, context: str, channel: str, app: str, data: str, length: int
    ) -> None:
        self._row(self.begun, self.linkedid, dst, context, channel, app, data, length, length)

    def _ring(self, menu: int, length: int, answered_by: str | None, talk: int = 0) -> None:
        begun = self.begun + timedelta(seconds=menu)
        for agent in self.rng.sample(_AGENTS, self.rng.randint(0, 2)):
            if agent != answered_by:
                rung = min(length, self.rng.randint(4, 20))
                self._leg(begun, agent, rung, 0)
        if answered_by is not None:
            self._leg(begun, answered_by, length, talk)

    def _leg(self, begun: datetime, agent: str, duration: int, billsec: int) -> None:
        uniqueid = f"{int(begun.timestamp())}.{self.sequence + 1}"
        channel = f"PJSIP/{agent}-{self.sequence + 1:08x}"
        data = f"PJSIP/{agent},15,trM(auto-blkvm)"
        self._row(begun, uniqueid, agent, "from-queue", channel, "Dial", data, duration, billsec)

    def _row(
        self,
        begun: datetime,
        uniqueid: str,
        dst: str,
        context: str,
        channel: str,
        app: str,
        data: str,
        duration: int,
        billsec: int,
    ) -> None:
        self.sequence += 1
        self.rows.append(
            (
                begun.astimezone(UTC).replace(tzinfo=None),
                f'"" <{self.number}>',
                self.number,
                dst,
                context,
                f"PJSIP/trunk-{self.sequence:08x}",
                channel,
                app,
                data,
                duration,
                billsec,
                "ANSWERED" if billsec else "NO ANSWER",
                "",
                uniqueid,
                "",
                self.linkedid,
                self.sequence,
            )
        )

    def _ended(self, length: int) -> Call:
        return Call(self.begun + timedelta(seconds=length), tuple(self.rows))
