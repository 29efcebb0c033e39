"""Remembers which archives a machine has, in the kernel's database.

An archive whose disk is not mounted looks like a new one: an empty directory. What was there once
is known by the first line of its manifest, which is only ever appended to; while that line is not
there, nothing is archived there, nothing counts as verified, and nothing goes.
"""

import asyncio
import contextlib
import logging
import shlex
import socket
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import msgspec

from sereno_cleanup.archives import manifest
from sereno_cleanup.database import connected, make_table
from sereno_cleanup.fault import sentence
from sereno_cleanup.names import readable
from sereno_cleanup.query import query

log = logging.getLogger("sereno_cleanup")

_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class ArchiveGoneError(Exception):
    """An archive is not where it was; the sentence says what to look at."""


class KnownArchives(msgspec.Struct, frozen=True):
    """The archives of the machine `host`: `identities` by path. `fault`: why nothing is known."""

    host: str
    identities: dict[str, str]
    fault: str | None = None

    def check(self, archive: Path) -> None:
        """Raise ArchiveGoneError where `archive` is not what it was, or nobody can tell."""
        place = readable(str(archive))
        if self.fault is not None:
            raise ArchiveGoneError(
                f"whether {place} is the archive that it was cannot be asked, so nothing goes: "
                f"{self.fault}"
            )
        known = self.identities.get(place)
        if known is None:
            return
        try:
            found = manifest.identity(archive)
        except OSError as error:
            raise ArchiveGoneError(f"{place} cannot be read: {sentence(error)}") from error
        if found == known:
            return
        what = "has no manifest any more" if found is None else "has another archive's manifest"
        raise ArchiveGoneError(
            f"{place} on '{self.host}' {what}: look whether its disk is mounted; nothing is "
            "archived, verified or deleted there until it is. Where the archive is gone for good, "
            "or another is to take its place, say so with: sereno trigger cleanup.verify_archive "
            f"-p {shlex.quote(f'accept={place}')}"
        )


async def known_archives(url: str) -> KnownArchives:
    """Return what is known of this machine's archives; nothing without a database (`url` '')."""
    host = socket.gethostname()
    if not url:
        return KnownArchives(host, {})
    try:
        async with connected(url, "cleanup archives") as database:
            if not await database.fetchval(query("archive_exists")):
                return KnownArchives(host, {})
            rows = await database.fetch(query("archive_known"), host)
    except _AWAY as error:
        return KnownArchives(host, {}, sentence(error))
    return KnownArchives(host, {row["path"]: row["identity"] for row in rows})


async def remember(url: str, known: KnownArchives, archives: Iterable[str]) -> None:
    """Remember those of `archives` that hold something and are not known yet.

    Where that cannot be written it is logged, and no fault of the run: the next one does it.
    """
    if not url or known.fault is not None:
        return
    new = {}
    for path in (Path(one) for one in archives if readable(one) not in known.identities):
        with contextlib.suppress(OSError):  # who reads it says so
            if identity := manifest.identity(path):
                new[readable(str(path))] = identity
    if not new:
        return
    try:
        async with connected(url, "cleanup archives") as database:
            await make_table(database, "archive")
            await database.execute(query("archive_remember"), known.host, [*new], [*new.values()])
    except _AWAY as error:
        log.warning("archives could not be remembered", extra={"error": str(error)})


async def forget(url: str, archive: str) -> None:
    """Forget what is known of `archive` on this machine: what is there now takes its place."""
    async with connected(url, "cleanup archives") as database:
        if await database.fetchval(query("archive_exists")):
            await database.execute(query("archive_forget"), socket.gethostname(), readable(archive))


def known_from_thread(url: str) -> KnownArchives:
    """As `known_archives`, for a job that works in a thread."""
    return asyncio.run(known_archives(url))


def remember_from_thread(url: str, known: KnownArchives, archives: Iterable[str]) -> None:
    """As `remember`, for a job that works in a thread."""
    asyncio.run(remember(url, known, archives))
