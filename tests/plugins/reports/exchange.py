"""A telephone exchange whose calls go the whole way: its tables, etl_ivr's loading and counting."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from sereno import Job
from sereno.testing import run_context
from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.retain import retain
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync, sync_of

MADRID = "Europe/Madrid"

TABLES = """
CREATE SCHEMA pbx;
CREATE TABLE pbx.cdr (
  calldate timestamp, clid text, src text, dst text, dcontext text, channel text, dstchannel text,
  lastapp text, lastdata text, duration integer, billsec integer, disposition text, uniqueid text,
  linkedid text, sequence integer, did text, cnam text, dst_cnam text
);
CREATE INDEX ON pbx.cdr (calldate);
CREATE TABLE pbx.queue_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, time timestamp, callid text, queuename text,
  agent text, event text, data1 text, data2 text, data3 text, data4 text, data5 text
);
CREATE INDEX ON pbx.queue_log (time);
"""
ISSABEL = "ALTER TABLE pbx.cdr DROP COLUMN linkedid, DROP COLUMN sequence, DROP COLUMN did"


class Exchange:
    """Writes what Asterisk would. `events`: with a queue_log. `reached`: how far it is loaded."""

    def __init__(self, connection: Any, url: str, zone: str = MADRID) -> None:
        self.connection = connection
        self.url = url
        self.zone = ZoneInfo(zone)
        self.calls = 0
        self.sequence = 0
        self.events = True
        self.linked = True
        self.reached: datetime | None = datetime(2024, 12, 1, tzinfo=UTC)

    def at(self, text: str, fold: int = 0) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=self.zone, fold=fold)

    def new_call(self, start: datetime) -> str:
        self.calls += 1
        return f"{int(start.timestamp())}.{self.calls}"

    async def leg(
        self,
        call: str,
        start: datetime,
        *,
        dst: str = "s",
        context: str = "ivr-1",
        channel: str = "PJSIP/trunk-00000001",
        to: str = "",
        app: str = "BackGround",
        data: str = "",
        duration: int = 10,
        talk: int = 0,
        disposition: str = "ANSWERED",
        uniqueid: str | None = None,
        sequence: int | None = 0,
        src: str = "600111222",
        did: str | None = "910000001",
        cnam: str = "",
        dst_cnam: str = "",
    ) -> None:
        self.sequence += 1
        row: dict[str, Any] = {
            "calldate": start.astimezone(self.zone).replace(tzinfo=None),
            "clid": f'"" <{src}>',
            "src": src,
            "dst": dst,
            "dcontext": context,
            "channel": channel,
            "dstchannel": to,
            "lastapp": app,
            "lastdata": data,
            "duration": duration,
            "billsec": talk,
            "disposition": disposition,
            "uniqueid": call if uniqueid is None else uniqueid,
            "cnam": cnam,
            "dst_cnam": dst_cnam,
        }
        if self.linked:
            number = self.sequence if sequence == 0 else sequence
            row |= {"linkedid": call, "sequence": number, "did": did}
        await self._insert("cdr", row)

    async def event(
        self, at: datetime, callid: str, queue: str, agent: str, event: str, *data: Any
    ) -> None:
        if not self.events:
            return
        cells = [*map(str, data), *[""] * 5][:5]
        row = {
            "time": at.astimezone(self.zone).replace(tzinfo=None),
            "callid": callid,
            "queuename": queue,
            "agent": agent,
            "event": event,
            **{f"data{n}": cell for n, cell in enumerate(cells, 1)},
        }
        await self._insert("queue_log", row)

    async def hung_up_in_ivr(self, start: datetime, seconds: int = 8) -> None:
        await self.leg(self.new_call(start), start, duration=seconds, talk=seconds)

    async def dialled_out(
        self, start: datetime, number: str, *, agent: str = "201", talk: int = 77
    ) -> None:
        await self.leg(
            self.new_call(start),
            start,
            dst=number,
            context="from-internal",
            channel=f"PJSIP/{agent}-00000007",
            to="PJSIP/trunk-00000009",
            app="Dial",
            duration=talk + 5,
            talk=talk,
            src=agent,
            did=None,
        )

    async def queued(
        self,
        start: datetime,
        *,
        ivr: int = 10,
        wait: int = 0,
        talk: int = 0,
        queue: str = "400",
        agent: str = "201",
        missed_by: tuple[str, ...] = (),
        direct: bool = False,
        src: str = "600111222",
        agent_name: str = "",
        to_second: str = "",
        second_talk: int = 0,
    ) -> str:
        """IVR, then a queue; answered by `agent` when `talk` is given, else given up.

        `direct`: the telephone itself is the queue's member, and has no record of its own.
        `to_second`: the agent passes the call on to this one, who talks for `second_talk`.
        """
        call = self.new_call(start)
        entered = start + timedelta(seconds=ivr)
        ended = entered + timedelta(seconds=wait + talk)
        answered = talk > 0
        await self.event(entered, call, queue, "NONE", "ENTERQUEUE", "", src, 1)
        for one in (*missed_by, *((agent,) if answered else ())):
            got_it = answered and one == agent
            if not got_it:
                await self.event(entered, call, queue, f"PJSIP/{one}", "RINGNOANSWER", 1000 * wait)
            if not direct:
                await self.leg(
                    call,
                    entered,
                    dst=one,
                    context="from-queue",
                    channel=f"Local/{one}@from-queue-00000001;2",
                    to=f"PJSIP/{one}-00000002",
                    app="Dial",
                    duration=wait + (talk if got_it else 0),
                    talk=talk if got_it else 0,
                    disposition="ANSWERED" if got_it else "NO ANSWER",
                    uniqueid=f"{call}{one}",
                    src=src,
                    dst_cnam=agent_name if got_it else "",
                )
        if answered:
            connected = entered + timedelta(seconds=wait)
            await self.event(connected, call, queue, f"PJSIP/{agent}", "CONNECT", wait, "1.1", 3)
            passed = ("BLINDTRANSFER", to_second, "from-internal", wait, talk, 1)
            done = passed if to_second else ("COMPLETECALLER", wait, talk, 1)
            await self.event(ended, call, queue, f"PJSIP/{agent}", *done)
        else:
            await self.event(ended, call, queue, "NONE", "ABANDON", 1, 1, wait)
        member = f"PJSIP/{agent}-00000002" if direct else f"Local/{agent}@from-queue-00000001;1"
        whole = ivr + wait + talk
        await self.leg(
            call,
            start,
            dst=queue,
            context="ext-queues",
            app="Queue",
            data=f"{queue},t,,,300",
            to=member if answered else "",
            duration=whole,
            talk=whole,
            src=src,
        )
        if to_second:
            await self.leg(
                call,
                ended,
                dst=to_second,
                context="from-internal",
                to=f"PJSIP/{to_second}-00000009",
                app="Dial",
                duration=second_talk + 3,
                talk=second_talk,
                src=src,
            )
        return call

    async def load(self, **rules: Any) -> None:
        """Load and count what was written, as etl_ivr's jobs do."""
        again = {"overlap": "P9000D", "source_timezone": str(self.zone)}
        for job in (sync_of("queues"), sync, aggregate):
            await self._run(job, again | rules)
        await self.connection.execute(
            "UPDATE ivr.aggregated SET reached = $1 WHERE source = 'pbx'", self.reached
        )

    async def retain(self, **keeps: Any) -> None:
        """Delete what is old, as etl_ivr's job does."""
        await self._run(retain, keeps)

    async def _run(self, job: Job, settings: dict[str, Any]) -> None:
        tables = {"queues": {"kind": "queue_log", "source_table": "pbx.queue_log"}}
        chosen = msgspec.convert(
            {"source_url": self.url, "source_table": "pbx.cdr", "tables": tables, **settings},
            Settings,
        )
        await job.function(run_context(job, settings=chosen, database_url=self.url))

    async def _insert(self, table: str, row: dict[str, Any]) -> None:
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        await self.connection.execute(
            f"INSERT INTO pbx.{table} ({', '.join(row)}) VALUES ({places})", *row.values()
        )


async def exchange(url: str) -> Exchange:
    connection = await asyncpg.connect(url)
    await connection.execute(TABLES)
    return Exchange(connection, url)
