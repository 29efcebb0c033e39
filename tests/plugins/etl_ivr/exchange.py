# ruff: noqa: DTZ001 - local times have no zone
"""Calls with a menu, queues and agents, as an exchange writes them down: `cdr` and `queue_log`."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .pbx import FREEPBX, Pbx

QUEUE_LOG = """
CREATE TABLE queue_log (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, time datetime(6), callid varchar(80),
  queuename varchar(256), agent varchar(80), event varchar(32), data1 varchar(100),
  data2 varchar(100), data3 varchar(100), data4 varchar(100), data5 varchar(100), KEY time (time)
) DEFAULT CHARSET = utf8mb4
"""
CEL = """
CREATE TABLE cel (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, eventtype varchar(30), eventtime datetime(6),
  channame varchar(80), uniqueid varchar(32), linkedid varchar(32), KEY linkedid (linkedid),
  KEY eventtime (eventtime)
) DEFAULT CHARSET = utf8mb4
"""
CELS = {"cel": {"kind": "cel"}}
QUEUES = {"queues": {"kind": "queue_log", "source_table": "queue_log"}}
TRUNK = "PJSIP/trunk-00000001"


@dataclass(slots=True)
class Exchange:
    """Writes calls into a PBX's database; `events`: with a queue_log."""

    pbx: Pbx
    events: bool = True
    number: int = 0
    sequence: int = 0
    calls: list[str] = field(default_factory=list)

    def create(self) -> None:
        self.pbx.execute(FREEPBX)
        self.pbx.execute(QUEUE_LOG)

    def uniqueid(self, at: datetime) -> str:
        self.number += 1
        return f"{int((at - datetime(1970, 1, 1)).total_seconds())}.{self.number}"

    def leg(self, at: datetime, call: str, seconds: float, talk: float, **more: Any) -> None:
        self.sequence += 1
        row = {
            "calldate": str(at),
            "uniqueid": call,
            "linkedid": call,
            "channel": TRUNK,
            "duration": seconds,
            "billsec": talk,
            "disposition": "ANSWERED" if talk else "NO ANSWER",
            "sequence": self.sequence,
            "src": "600111222",
            **more,
        }
        self.pbx.insert(row)

    def event(
        self, at: datetime, callid: str, queue: str, agent: str, event: str, *data: Any
    ) -> None:
        if not self.events:
            return
        cells = [*map(str, data), *[""] * 5][:5]
        self.pbx.execute(
            "INSERT INTO queue_log (time, callid, queuename, agent, event, data1, data2, data3,"
            " data4, data5) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            *(str(at), callid, queue, agent, event, *cells),
        )

    def channel(self, at: datetime, call: str, kind: str, channel: str) -> None:
        """Write an event of a channel into `cel`."""
        self.pbx.execute(
            "INSERT INTO cel (eventtype, eventtime, channame, uniqueid, linkedid)"
            " VALUES (%s, %s, %s, %s, %s)",
            *(kind, str(at), channel, call, call),
        )

    def queued(
        self,
        at: datetime,
        *,
        menu: int = 10,
        wait: int = 5,
        talk: int = 0,
        agent: str = "201",
        queue: str = "400",
        missed: tuple[str, ...] = (),
        did: str = "",
        direct: bool = False,
        transfer: bool = False,
    ) -> str:
        """A menu, then a queue; answered by `agent` when there is `talk`, else given up.

        `direct`: the queue's member is the telephone itself, and has no leg of its own.
        """
        call = self.uniqueid(at)
        self.calls.append(call)
        entered = at + timedelta(seconds=menu)
        ended = entered + timedelta(seconds=wait + talk)
        self.event(entered, call, queue, "NONE", "ENTERQUEUE", "", "600111222", 1)
        for one in (*missed, *((agent,) if talk else ())):
            got = one == agent and talk > 0
            if not got:
                self.event(entered, call, queue, f"PJSIP/{one}", "RINGNOANSWER", 1000 * wait)
            if not direct:
                self.leg(
                    entered,
                    f"{call}{one}",
                    wait + (talk if got else 0),
                    talk if got else 0,
                    linkedid=call,
                    channel=f"Local/{one}@from-queue-0000000a;2",
                    dstchannel=f"PJSIP/{one}-00000002",
                    lastapp="Dial",
                    dcontext="from-queue",
                    dst=one,
                )
        if talk:
            connected = entered + timedelta(seconds=wait)
            self.event(connected, call, queue, f"PJSIP/{agent}", "CONNECT", wait, "1.1", 3)
            what = ("BLINDTRANSFER", "202", "from-internal", wait, talk, 1)
            done = what if transfer else ("COMPLETECALLER", wait, talk, 1)
            self.event(ended, call, queue, f"PJSIP/{agent}", *done)
        else:
            self.event(ended, call, queue, "NONE", "ABANDON", 1, 1, wait)
        member = f"PJSIP/{agent}-00000002" if direct else f"Local/{agent}@from-queue-0000000a;1"
        self.leg(
            at,
            call,
            menu + wait + talk,
            menu + wait + talk,
            dst=queue,
            did=did,
            lastapp="Queue",
            lastdata=f"{queue},t,,,300",
            dcontext="ext-queues",
            dstchannel=member if talk else "",
        )
        return call
