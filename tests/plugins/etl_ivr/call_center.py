"""A call center that is simulated at speed: what an exchange writes of a month, and what is so.

Rows are written when Asterisk writes them: a leg when it ends, an event when it happens. The
exchange's clock is the simulation's: whoever reads gets it as the database's own.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sereno_etl_ivr.demo.calls import past

from .exchange import CEL, QUEUE_LOG, TRUNK
from .pbx import FREEPBX, Pbx

ZONE = ZoneInfo("Europe/Madrid")
AGENTS = ("201", "202", "203", "204", "205")
LEG = (
    *("calldate", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata"),
    *("duration", "billsec", "disposition", "uniqueid", "linkedid", "sequence"),
)
EVENT = ("time", "callid", "queuename", "agent", "event", "data1", "data2", "data3", "data4")
CHANNEL = ("eventtype", "eventtime", "channame", "uniqueid", "linkedid")

Key = tuple[Any, ...]


class CallCenter:
    """Writes calls into an exchange, and counts what they are by quarter hour.

    `known`: by the call's quarter hour (UTC) and its direction, queue, or agent; `waits`: of the
    answered, by quarter hour and queue. `fine`: durations have fractions.
    """

    def __init__(self, pbx: Pbx, seed: int) -> None:
        self.pbx = pbx
        self.rng = random.Random(seed)
        self.known: defaultdict[Key, Counter[str]] = defaultdict(Counter)
        self.waits: defaultdict[Key, list[int]] = defaultdict(list)
        self.written: list[tuple[datetime, str, tuple[Any, ...]]] = []
        self.number = 0
        self.fine = False

    @contextmanager
    def opened(self) -> Iterator[str]:
        """Make the tables, and give the URL of one who may only read, and reads the clock."""
        for table in (FREEPBX, QUEUE_LOG, CEL):
            self.pbx.execute(table)
        parts = urlsplit(self.pbx.url)
        self.pbx.execute("CREATE OR REPLACE USER watcher@'127.0.0.1' IDENTIFIED BY 'watcher'")
        self.pbx.execute(f"GRANT SELECT ON {parts.path[1:]}.* TO watcher@'127.0.0.1'")
        try:
            yield f"mysql://watcher:watcher@{parts.hostname}:{parts.port}{parts.path}"
        finally:
            self.pbx.execute("SET GLOBAL init_connect = ''")
            self.pbx.execute("DROP USER watcher@'127.0.0.1'")

    def reach(self, now: datetime) -> None:
        """Let it be `now`: what was written until then is there."""
        here = [row for row in self.written if row[0] <= now]
        self.written = [row for row in self.written if row[0] > now]
        for table, names in (("cdr", LEG), ("queue_log", EVENT), ("cel", CHANNEL)):
            rows = [row for _, kind, row in here if kind == table]
            if rows:
                places = ", ".join(["%s"] * len(names))
                with self.pbx.connection.cursor() as cursor:
                    cursor.executemany(
                        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows
                    )
        self.pbx.execute(f"SET GLOBAL init_connect = 'SET timestamp = {now.timestamp():.0f}'")

    def day(self, midnight: datetime, calls: int) -> None:
        """Write the calls of a local day, at the demonstration's hours."""
        some = past(self.rng, midnight.replace(hour=23, minute=59), 0, calls, 1)
        for at in [datetime.fromisoformat(f"{call.rows[-1][0]}") for call in some]:
            fold = self.rng.randrange(2)
            begun = at.replace(tzinfo=ZONE, fold=fold).astimezone(UTC)
            if begun.astimezone(ZONE).date() == midnight.date():
                self.call(begun)
        if midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset():
            for n in range(24):  # around the change of the clocks, when few would call
                self.call(
                    (midnight + timedelta(hours=1)).astimezone(UTC) + timedelta(minutes=9 * n)
                )

    def call(self, at: datetime) -> None:
        """Write a call of some kind that begins at `at`."""
        kinds = ["ivr", "out", "gave up", "answered", "passed on", "overflow"]
        (kind,) = self.rng.choices(kinds, [2, 2, 3, 8, 2, 2])
        self.number += 1
        call = f"{int(at.timestamp())}.{self.number}"
        quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        self.channel(at, call, "CHAN_START", TRUNK)
        menu, wait = self.rng.randrange(3, 40), self.rng.randrange(60)
        talk, agent = self.rng.randrange(5, 600), self.rng.choice(AGENTS[:4])
        queue = self.rng.choice(["400", "410", "420"])
        whole = self.known[quarter, "inbound"]
        match kind:
            case "ivr":
                self.leg(at, call, 8, 8, dst="s", lastapp="BackGround", dcontext="ivr-1")
                whole.update(calls=1, calls_ivr=1)
            case "out":
                seconds = talk + self.fraction()
                self.leg(
                    at, call, seconds + 5, seconds, channel=f"PJSIP/{agent}-00000007",
                    dstchannel="PJSIP/trunk-00000009", lastapp="Dial", dcontext="from-internal",
                    src=agent,
                )  # fmt: skip
                self.known[quarter, "outbound"].update(calls=1, calls_answered=1)
                self.talked(at + timedelta(seconds=5), call, quarter, agent, seconds)
            case "gave up":
                self.visit(at + timedelta(seconds=menu), call, queue, wait, "ABANDON")
                self.caller(at, call, queue, menu + wait, "")
                whole.update(calls=1, calls_abandoned=1, calls_short=wait <= 5)
                entry = self.known[quarter, "queue", queue]
                entry.update(offered=1, abandoned=1, short_abandons=wait <= 5)
            case "overflow":
                self.visit(at + timedelta(seconds=menu), call, "400", 30, "EXITWITHTIMEOUT")
                self.known[quarter, "queue", "400"].update(offered=1, left_queue=1)
                self.caller(at, call, "400", menu + 30 + wait + talk, "")
                self.answered(at, call, quarter, "420", agent, menu + 30, wait, talk)
                whole.update(calls=1, calls_answered=1, calls_in_level=30 + wait <= 20)
            case _:
                to = AGENTS[4] if kind == "passed on" else ""
                self.answered(at, call, quarter, queue, agent, menu, wait, talk, to)
                whole.update(calls=1, calls_answered=1, calls_in_level=wait <= 20)

    def answered(
        self,
        at: datetime,
        call: str,
        quarter: datetime,
        queue: str,
        agent: str,
        menu: int,
        wait: int,
        talk: int,
        to: str = "",
    ) -> None:
        """Let an agent answer in a queue, and pass the call on `to` another."""
        entered = at + timedelta(seconds=menu)
        self.visit(entered, call, queue, wait, "CONNECT", agent)
        connected = entered + timedelta(seconds=wait)
        over = connected + timedelta(seconds=talk)
        missed = self.rng.choice(AGENTS[:4])
        if missed != agent:
            self.event(entered, call, queue, f"PJSIP/{missed}", "RINGNOANSWER", 1000 * wait)
            self.ring(entered, call, missed, wait, 0)
            self.known[quarter, "agent", missed].update(missed=1)
        done = ("BLINDTRANSFER", to, "from-internal", wait, talk) if to else (
            "COMPLETEAGENT", wait, talk, 1)  # fmt: skip
        self.event(over, call, queue, f"PJSIP/{agent}", *done)
        self.ring(entered, call, agent, wait, talk)
        self.caller(at, call, queue, menu + wait + talk, f"Local/{agent}@from-queue-0000000a;1")
        self.talked(connected, call, quarter, agent, talk, passed=bool(to))
        if to:
            seconds = 77 + self.fraction()
            self.leg(over, call, seconds + 3, seconds, dst=to, dstchannel=f"PJSIP/{to}-00000009",
                     lastapp="Dial", dcontext="from-internal")  # fmt: skip
            self.talked(over + timedelta(seconds=3), call, quarter, to, seconds)
        self.waits[quarter, queue].append(wait)
        self.known[quarter, "queue", queue].update(
            offered=1, answered=1, in_level=wait <= 20, wait_seconds=wait
        )

    def talked(
        self, at: datetime, call: str, quarter: datetime, agent: str, seconds: float, *,
        passed: bool = False,
    ) -> None:  # fmt: skip
        """Count a conversation, and let the agent put the caller on hold now and then."""
        holds = self.rng.randrange(3) if seconds > 40 else 0
        for n in range(holds):
            channel = f"PJSIP/{agent}-{'00000007' if agent == AGENTS[4] else '00000002'}"
            self.channel(at + timedelta(seconds=10 * n + 2), call, "HOLD", channel)
            self.channel(at + timedelta(seconds=10 * n + 6), call, "UNHOLD", channel)
        self.known[quarter, "agent", agent].update(
            handled=1, talk_seconds=seconds, transfers=passed, holds=holds, hold_seconds=4 * holds
        )  # type: ignore[call-overload]

    def visit(
        self, at: datetime, call: str, queue: str, wait: int, end: str, agent: str = ""
    ) -> None:
        """Write an entry into a queue, and how it ended."""
        self.event(at, call, queue, "NONE", "ENTERQUEUE", "", "600111222", 1)
        cells = (wait, "1.1", 3) if agent else (1, 1, wait)
        who = f"PJSIP/{agent}" if agent else "NONE"
        self.event(at + timedelta(seconds=wait), call, queue, who, end, *cells)

    def caller(self, at: datetime, call: str, queue: str, seconds: int, to: str) -> None:
        self.leg(at, call, seconds, seconds, dst=queue, lastapp="Queue", lastdata=f"{queue},t",
                 dcontext="ext-queues", dstchannel=to)  # fmt: skip

    def ring(self, at: datetime, call: str, agent: str, wait: int, talk: int) -> None:
        self.leg(at, f"{call}{agent}", wait + talk, talk, linkedid=call, dst=agent, lastapp="Dial",
                 channel=f"Local/{agent}@from-queue-0000000a;2", dcontext="from-queue",
                 dstchannel=f"PJSIP/{agent}-00000002")  # fmt: skip

    def fraction(self) -> float:
        return self.rng.choice([0.25, 0.5]) if self.fine else 0

    def leg(self, at: datetime, uniqueid: str, seconds: float, talk: float, **more: Any) -> None:
        self.number += 1
        row = {
            **{"calldate": local(at), "src": "600111222", "dst": "", "dcontext": ""},
            **{"channel": TRUNK, "dstchannel": "", "lastapp": "", "lastdata": ""},
            **{"duration": seconds, "billsec": talk, "sequence": self.number},
            **{"disposition": "ANSWERED" if talk else "NO ANSWER"},
            **{"uniqueid": uniqueid, "linkedid": uniqueid, **more},
        }
        over = at + timedelta(seconds=seconds)
        self.written.append((over, "cdr", tuple(row[name] for name in LEG)))

    def event(
        self, at: datetime, call: str, queue: str, agent: str, event: str, *data: Any
    ) -> None:
        cells = [*map(str, data), "", "", "", ""][:4]
        self.written.append((at, "queue_log", (local(at), call, queue, agent, event, *cells)))

    def channel(self, at: datetime, call: str, kind: str, channel: str) -> None:
        self.written.append((at, "cel", (kind, local(at), channel, call, call)))


def local(at: datetime) -> str:
    return str(at.astimezone(ZONE).replace(tzinfo=None))
