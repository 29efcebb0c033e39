"""The job that measures the disks of log files and archives, and tells people of one that fills."""

import asyncio
import os
import socket
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno import Message, RunContext, cron, job
from sereno_cleanup.database import connected, make_table
from sereno_cleanup.filling import OF_HOURS, fills_in, is_full
from sereno_cleanup.names import readable
from sereno_cleanup.query import query
from sereno_cleanup.settings import Settings

_KEPT = timedelta(days=2)
_MOST = 2**63 - 1  # of what is kept: a file system may say whatever it likes
_DAY_S = 86_400
_TITLE = 200
_REMEDY = (
    "Keep less, archive elsewhere, or give it more room; `sereno runs cleanup.logs` and "
    "`cleanup_freed_bytes_total` say which rules free what."
)
_KEY = 800  # letters of a path: a key has 1,000 at most


class DiskRoom(msgspec.Struct, omit_defaults=True):
    """What is free of a disk that holds `paths`. `unit`: "bytes", or "files" (inodes).

    `fills_in_s`: seconds until nothing is, as the last hours went on; None for never.
    """

    paths: list[str]
    unit: str
    free: int
    size: int
    fills_in_s: float | None = None

    @property
    def path(self) -> str:
        """Return the path by which the disk is known."""
        return self.paths[0]


@job(
    "cleanup.disks",
    schedule=cron("*/30 * * * *"),
    scope="host",
    timeout="5m",
    overdue_after="3h",
    severity="warning",
)
def disks(run: RunContext[dict[str, Any]]) -> dict[str, Any]:
    """Measure the disks of the machine that runs this.

    One that is full, or will be within `disk_fills_within`, is a warning of the run, and is told to
    people once a day.
    """
    settings: Settings = run.settings
    host = socket.gethostname()
    found = measured(sorted({*settings.logs_roots, *settings.archives()}))
    asyncio.run(_add_trends(run.database_url, host, run.now(), found))
    for room in found:
        if title := _warning(room, host, settings.disk_fills_within):
            run.warn(title)
            state = "full" if is_full(room.free, room.size) else "fills"
            day = run.now().date().isoformat()
            key = f"{state} {room.unit} {host} {day} {room.path[-_KEY:]}"
            run.notify(_message(room, title, state), key=key)
    return {"host": host, "disks": msgspec.to_builtins(found)}


def measured(places: list[str]) -> list[DiskRoom]:
    """Ask the file system of each disk once; a directory that is not there has none."""
    paths: dict[int, list[str]] = {}
    for place in places:
        try:
            paths.setdefault(os.stat(place).st_dev, []).append(readable(place))
        except OSError:
            continue  # the sweep and its check tell of it
    found = []
    for names in paths.values():
        try:
            disk = os.statvfs(names[0])
        except OSError:
            continue
        if disk.f_flag & os.ST_RDONLY:  # it stays as full as it is
            continue
        room, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        for unit, free, whole in (("bytes", room, size), ("files", disk.f_favail, disk.f_files)):
            if whole > 0:  # some file systems count no files
                found.append(DiskRoom(names, unit, min(free, _MOST), min(whole, _MOST)))
    return found


async def _add_trends(url: str, host: str, now: datetime, found: list[DiskRoom]) -> None:
    """Keep what was measured, and say of each disk when it will be full."""
    if not url:
        return
    since = now - timedelta(hours=OF_HOURS)
    async with connected(url, "cleanup.disks") as database:
        await make_table(database, "disk")
        await database.execute(
            query("disk_add"),
            host,
            now,
            [one.path for one in found],
            [one.unit for one in found],
            [one.free for one in found],
            [one.size for one in found],
        )
        for room in found:
            rows = await database.fetch(
                query("disk_read"), host, room.path, room.unit, room.size, since, now
            )
            room.fills_in_s = fills_in([(r["second"], r["free"]) for r in rows], room.size)
        await database.execute(query("disk_forget"), now - _KEPT)


def _warning(room: DiskRoom, host: str, within: timedelta) -> str | None:
    """Return what is to be said of a disk, None where all is well."""
    what = "disk" if room.unit == "bytes" else "number of files on the disk"
    subject = " ".join(f"{what} of {room.path} on '{host}'".split())
    if len(subject) > _TITLE:
        subject = f"{subject[: _TITLE - 1]}…"
    if is_full(room.free, room.size):
        return f"the {subject} is full: {_amount(room.free, room.unit)} left"
    if room.fills_in_s is None or room.fills_in_s > within.total_seconds():
        return None
    return f"the {subject} will be full in {_span(room.fills_in_s)}, as the last hours went on"


def _message(room: DiskRoom, title: str, state: str) -> Message:
    share = 100 * room.free / room.size
    free = f"{_amount(room.free, room.unit)} of {_amount(room.size, room.unit)} ({share:.1f} %)"
    lines = [f"free: {free}", *(f"path: {path}" for path in room.paths), "", _REMEDY]
    return Message(title, "\n".join(lines), severity="critical" if state == "full" else "warning")


def _amount(count: int, unit: str) -> str:
    if unit != "bytes":
        return f"{count:,} files"
    amount, name = float(count), "bytes"
    for following in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if amount < 1024:
            break
        amount, name = amount / 1024, following
    return f"{amount:,.0f} {name}" if name == "bytes" else f"{amount:,.1f} {name}"


def _span(seconds: float) -> str:
    days = seconds / _DAY_S
    return f"{days:.1f} days" if days >= 2 else f"{seconds / 3600:.1f} hours"
