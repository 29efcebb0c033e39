"""Puts legs of calls into a table like the one that the loader fills."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

MADRID = "Europe/Madrid"

TABLE = """
CREATE SCHEMA IF NOT EXISTS ivr;
CREATE TABLE IF NOT EXISTS ivr.calls (
  source text NOT NULL DEFAULT 'pbx', uniqueid text, linkedid text, sequence bigint,
  calldate timestamp, started_at timestamptz, src text, dst text, dcontext text, clid text,
  channel text, dstchannel text, lastapp text, lastdata text, duration int, billsec int,
  disposition text, accountcode text, userfield text, extra jsonb,
  loaded_at timestamptz NOT NULL DEFAULT now()
)
"""

ADD = """
INSERT INTO ivr.calls (uniqueid, linkedid, sequence, started_at, calldate, dst, dcontext, channel,
                       dstchannel, lastapp, duration, billsec, disposition, loaded_at)
VALUES ($1, $2, $3, $4, $4 AT TIME ZONE 'Europe/Madrid', $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


class Exchange:
    """A telephone exchange that writes what Asterisk would: each method is one call."""

    def __init__(self, connection: Any, zone: str = MADRID) -> None:
        self.connection = connection
        self.zone = ZoneInfo(zone)
        self.calls = 0
        self.sequence = 0
        self.loaded_at: datetime | None = None

    def at(self, text: str, fold: int = 0) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=self.zone, fold=fold)

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
        duration: int = 10,
        talk: int = 0,
        disposition: str = "ANSWERED",
        linkedid: str | None = "",
        uniqueid: str | None = None,
    ) -> None:
        self.sequence += 1
        loaded_at = self.loaded_at or start + timedelta(days=2)
        await self.connection.execute(
            ADD,
            call if uniqueid is None else uniqueid,
            call if linkedid == "" else linkedid,
            self.sequence,
            start,
            dst,
            context,
            channel,
            to,
            app,
            duration,
            talk,
            disposition,
            loaded_at,
        )

    def new_call(self) -> str:
        self.calls += 1
        return f"1700000000.{self.calls}"

    async def hung_up_in_ivr(self, start: datetime, seconds: int = 8) -> None:
        await self.leg(self.new_call(), start, duration=seconds, talk=seconds)

    async def queued(
        self,
        start: datetime,
        *,
        ivr: int = 10,
        ring: int = 0,
        talk: int = 0,
        queue: str = "400",
        agent: str = "201",
        missed_by: tuple[str, ...] = (),
    ) -> str:
        """IVR, then a queue; answered by `agent` when `talk` is given, else given up."""
        call = self.new_call()
        answered = talk > 0
        whole = ivr + ring + talk
        await self.leg(
            call,
            start,
            dst=queue,
            context="ext-queues",
            app="Queue",
            to=f"Local/{agent}@from-queue-00000001;1" if answered else "",
            duration=whole,
            talk=whole,
        )
        ringing = start + timedelta(seconds=ivr)
        for one in (*missed_by, agent):
            got_it = answered and one == agent
            await self.leg(
                call,
                ringing,
                dst=one,
                context="from-queue",
                channel=f"Local/{one}@from-queue-00000001;2",
                to=f"PJSIP/{one}-00000002",
                app="Dial",
                duration=ring + talk if got_it else ring,
                talk=talk if got_it else 0,
                disposition="ANSWERED" if got_it else "NO ANSWER",
                uniqueid=f"{call}-{one}",
            )
        return call


async def exchange(url: str) -> Exchange:
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    return Exchange(connection)
