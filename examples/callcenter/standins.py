"""Stand-ins of the outside world: the exchange's MariaDB, a mail server, and a PostgreSQL.

The exchange has what Asterisk writes (`cdr`, `queue_log`) for the last days, and a reader who may
only SELECT; the mail server takes what comes, or refuses as it is told, and keeps it as files.
"""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pymysql
from aiosmtpd.controller import Controller

from sereno.embedded import EmbeddedPostgres
from sereno.testing import free_port

ZONE = ZoneInfo("Europe/Madrid")
TABLES = """
CREATE DATABASE asteriskcdrdb CHARACTER SET utf8mb4;
CREATE TABLE asteriskcdrdb.cdr (
  calldate datetime NOT NULL, clid varchar(80) NOT NULL DEFAULT '',
  src varchar(80) NOT NULL DEFAULT '',
  dst varchar(80) NOT NULL DEFAULT '', dcontext varchar(80) NOT NULL DEFAULT '',
  channel varchar(80) NOT NULL DEFAULT '', dstchannel varchar(80) NOT NULL DEFAULT '',
  lastapp varchar(80) NOT NULL DEFAULT '', lastdata varchar(80) NOT NULL DEFAULT '',
  duration int NOT NULL DEFAULT 0, billsec int NOT NULL DEFAULT 0,
  disposition varchar(45) NOT NULL DEFAULT '', uniqueid varchar(32) NOT NULL DEFAULT '',
  linkedid varchar(32) NOT NULL DEFAULT '', sequence int NOT NULL DEFAULT 0,
  did varchar(50) NOT NULL DEFAULT '',
  KEY calldate (calldate));
CREATE TABLE asteriskcdrdb.queue_log (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, time datetime(6), callid varchar(80),
  queuename varchar(256),
  agent varchar(80), event varchar(32), data1 varchar(100), data2 varchar(100), data3 varchar(100),
  data4 varchar(100), data5 varchar(100), KEY time (time));
CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'reader';
GRANT SELECT ON asteriskcdrdb.* TO reader@'127.0.0.1'
"""


@contextmanager
def world(var: Path, calls_a_day: int = 120, days: int = 8) -> Iterator[dict[str, str]]:
    """Give the variables of the environment that lead the project to its stand-ins."""
    (var / "mail").mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres.temporary())
        pbx = stack.enter_context(exchange())
        write_calls(pbx, calls_a_day, days)
        mail = stack.enter_context(mail_server(var / "mail"))
        yield {
            "DATABASE_URL": server.dsn,
            "PBX_URL": f"mysql://reader:reader@127.0.0.1:{pbx}/asteriskcdrdb",
            "MAIL_PORT": str(mail.port),
            "CALLCENTER_VAR": str(var),
        }


@contextmanager
def exchange() -> Iterator[int]:
    """Run a MariaDB with an exchange's tables; give its port."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    server, made = (
        shutil.which("mariadbd", path=path),
        shutil.which("mariadb-install-db", path=path),
    )
    if server is None or made is None:
        raise SystemExit("MariaDB is needed: apt install mariadb-server-core mariadb-client-core")
    with TemporaryDirectory(prefix="callcenter-pbx-") as place:
        common = [f"--datadir={place}/data", f"--socket={place}/s"]
        subprocess.run(
            [
                made,
                "--no-defaults",
                f"--datadir={place}/data",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        port = free_port()
        running = subprocess.Popen(
            [
                server,
                "--no-defaults",
                *common,
                f"--port={port}",
                "--bind-address=127.0.0.1",
                f"--pid-file={place}/pid",
                *(["--user=root"] if os.geteuid() == 0 else []),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            connection = _connected(f"{place}/s", running)
            with connection, connection.cursor() as cursor:
                for statement in TABLES.split(";"):
                    cursor.execute(statement)
                cursor.execute("CREATE USER writer@'127.0.0.1' IDENTIFIED BY 'writer'")
                cursor.execute("GRANT ALL ON asteriskcdrdb.* TO writer@'127.0.0.1'")
            yield port
        finally:
            running.terminate()
            running.wait(30)


def _connected(place: str, running: subprocess.Popen[bytes]) -> pymysql.Connection:
    for _ in range(600):
        if Path(place).exists():
            return pymysql.connect(unix_socket=place, user="root", autocommit=True)
        if running.poll() is not None:
            raise SystemExit("MariaDB ended as it started")
        time.sleep(0.1)
    raise TimeoutError("MariaDB did not come up in a minute")


def write_calls(port: int, calls_a_day: int, days: int, seed: int = 1) -> int:
    """Write the calls of the last days, legs and events of queues; return how many legs."""
    rng, legs, events = random.Random(seed), [], []
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
    for number in range(calls_a_day * days):
        at = now - timedelta(seconds=rng.randrange(days * 86_400))
        _call(rng, at, f"{int(at.timestamp())}.{number}", legs, events)
    with (
        pymysql.connect(
            host="127.0.0.1", port=port, user="writer", password="writer", autocommit=True
        ) as pbx,
        pbx.cursor() as cursor,
    ):
        cursor.executemany(
            "INSERT INTO asteriskcdrdb.cdr (calldate, src, dst, dcontext, channel, dstchannel,"
            " lastapp, lastdata, duration,"
            f" billsec, disposition, uniqueid, linkedid, did) VALUES ({', '.join(['%s'] * 14)})",
            legs,
        )
        cursor.executemany(
            "INSERT INTO asteriskcdrdb.queue_log (time, callid, queuename, agent, event, data1,"
            " data2, data3)"
            f" VALUES ({', '.join(['%s'] * 8)})",
            events,
        )
    return len(legs)


def _call(rng, at, call, legs, events):
    """A menu, then a queue: an agent answers, or the caller gives up."""
    queue, agent, caller = (
        rng.choice(["400", "410"]),
        rng.choice(["201", "202", "203"]),
        f"6001112{rng.randrange(99):02}",
    )
    menu, wait = rng.randrange(5, 40), rng.randrange(50)
    talk = rng.randrange(20, 600) if rng.random() < 0.85 else 0

    def later(seconds):
        return (at + timedelta(seconds=seconds)).astimezone(ZONE).replace(tzinfo=None)

    def event(seconds, who, what, *data):
        events.append(
            (later(seconds), call, queue, who, what, *map(str, data), *[""] * (3 - len(data)))
        )

    event(menu, "NONE", "ENTERQUEUE", "", caller, 1)
    if talk:
        event(menu + wait, f"PJSIP/{agent}", "CONNECT", wait, call, 3)
        event(menu + wait + talk, f"PJSIP/{agent}", "COMPLETECALLER", wait, talk, 1)
        legs.append(
            (
                later(menu),
                caller,
                agent,
                "from-queue",
                f"Local/{agent}@from-queue-{call[-6:]};2",
                f"PJSIP/{agent}-1",
                "Dial",
                "",
                wait + talk,
                talk,
                "ANSWERED",
                f"{call}1",
                call,
                "",
            )
        )
    else:
        event(menu + wait, "NONE", "ABANDON", 1, 1, wait)
    whole = menu + wait + talk
    legs.append(
        (
            later(0),
            caller,
            queue,
            "ext-queues",
            f"PJSIP/trunk-{call[-6:]}",
            f"Local/{agent}@from-queue-{call[-6:]};1" if talk else "",
            "Queue",
            f"{queue},t",
            whole,
            whole,
            "ANSWERED",
            call,
            call,
            "910000001",
        )
    )


class Inbox:
    """Keeps each mail as a file; `refusals`: what to answer to the next ones."""

    def __init__(self, place: Path, port: int) -> None:
        self.place, self.port, self.refusals, self.taken = place, port, [], 0

    async def handle_DATA(self, server, session, envelope):
        if self.refusals:
            return self.refusals.pop(0)
        self.taken += 1
        (self.place / f"{time.time_ns()}.eml").write_bytes(envelope.content)
        return "250 taken"


@contextmanager
def mail_server(place: Path) -> Iterator[Inbox]:
    """Run a mail server that puts what it takes into `place`."""
    inbox = Inbox(place, free_port())
    controller = Controller(
        inbox, hostname="127.0.0.1", port=inbox.port, data_size_limit=50_000_000
    )
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()
