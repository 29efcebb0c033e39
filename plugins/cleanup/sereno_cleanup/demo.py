"""What this plugin brings to the demonstration: sessions and log files that go out of date."""

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from sereno import Demo
from sereno_cleanup.database import connected
from sereno_cleanup.query import query

_PREFIX = "sereno-demo-"
DIRECTORY = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.getpid()}" / "logs"
ARCHIVE = DIRECTORY.parent / f"archive-{secrets.token_hex(4)}"
"""A name of its own: process ids come again, and an archive that was there once is remembered."""

EVERY_SECONDS = 4.0
SETTINGS = {
    "sessions_schedule": "every 10s",
    "logs_schedule": "every 15s",
    "history_schedule": "every 30s",
    "sessions_batch": 100,
    "logs_roots": [str(DIRECTORY)],
    "logs_max_ratio": 1.0,
    "logs": [
        {"path": f"{DIRECTORY}/app-*.log", "category": "application"},
        {"path": f"{DIRECTORY}/access-*.log", "category": "access"},
        {
            "path": f"{DIRECTORY}/audit-*.log",
            "category": "audit",
            "archive": str(ARCHIVE),
        },
    ],
}
_AGES = {"app": (1, 31, 45), "access": (1, 60, 91), "audit": (1, 400, 731)}


@asynccontextmanager
async def background(database_url: str) -> AsyncIterator[None]:
    """Keep making expired sessions and old log files while the demonstration runs."""
    await asyncio.to_thread(_remove_abandoned)
    making = asyncio.create_task(_make(database_url), name="cleanup demo")
    try:
        yield
    finally:
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await making
        await asyncio.to_thread(shutil.rmtree, DIRECTORY.parent, ignore_errors=True)


DEMO = Demo(settings=SETTINGS, background=background)


def _remove_abandoned() -> None:
    """Remove what demonstrations left that were killed before they could."""
    for place in DIRECTORY.parent.parent.glob(f"{_PREFIX}*"):
        number = place.name.removeprefix(_PREFIX)
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            ours = place.lstat().st_uid == os.geteuid() and not place.is_symlink()
            if ours and number.isdecimal() and not _lives(int(number)):
                shutil.rmtree(place, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's
    return True


async def _make(database_url: str) -> None:
    while True:
        try:
            async with connected(database_url, "cleanup demo") as database:
                await database.execute(query("demo_session_table"))
                while True:
                    today = await database.fetchval("SELECT extract(epoch FROM now())::float8")
                    await database.execute(query("demo_sessions"))
                    await asyncio.to_thread(_write_logs, today)
                    await asyncio.sleep(EVERY_SECONDS)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(EVERY_SECONDS)  # the database is away: the demo shows that too


def _write_logs(now: float) -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for kind, ages in _AGES.items():
        for days in ages:
            path = DIRECTORY / f"{kind}-{days:03}d.log"
            if not path.exists():
                path.write_text(f"a line of {days} days ago\n" * 40, encoding="utf-8")
                os.utime(path, (now - days * 86_400, now - days * 86_400))
