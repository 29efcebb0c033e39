"""An archive whose disk is not mounted is not taken for an empty one, and nothing goes."""

import asyncio
import os
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner

from sereno.testing import run_context
from sereno_cleanup.archives import manifest
from sereno_cleanup.commands import cleanup
from sereno_cleanup.logfiles import removal
from sereno_cleanup.logfiles.archive import Archive
from sereno_cleanup.logs import CleanupFailedError, logs
from sereno_cleanup.settings import LogRule, Settings, TableRule
from sereno_cleanup.tables import tables
from sereno_cleanup.verify_archive import verify_archive

NOW = datetime(2026, 3, 31, 2, 0, tzinfo=UTC)


class Scene:
    """A machine with log files, an archive, and the kernel's database."""

    def __init__(self, place: Path, url: str) -> None:
        self.place, self.url = place, url
        self.root, self.archive = place / "logs", place / "kept"
        self.root.mkdir()

    def write(self, *names: str) -> None:
        for name in names:
            path = self.root / name
            path.write_text(f"content of {name}\n")
            at = (NOW - timedelta(days=99)).timestamp()
            os.utime(path, (at, at))

    def settings(self, **changes: Any) -> Settings:
        rule = LogRule(path=f"{self.root}/*", min_keep=0, archive=str(self.archive), **changes)
        return Settings(logs_roots=(str(self.root),), logs=(rule,))

    def sweep(self, *, url: str | None = None) -> dict[str, Any]:
        run = run_context(
            logs,
            settings=self.settings(),
            database_url=self.url if url is None else url,
            clock=lambda: NOW,
        )
        result: dict[str, Any] = logs.function(run)
        return result

    def verify(self, accept: str | None = None, **changes: Any) -> dict[str, Any]:
        run = run_context(
            verify_archive,
            {"accept": accept},
            settings=self.settings(**changes),
            database_url=self.url,
            clock=lambda: NOW,
        )
        return dict(verify_archive.function(run)["archives"][0])

    def unmount(self) -> Path:
        """Leave the empty directory that is below a disk; return where the disk is."""
        away = self.place / "away"
        self.archive.rename(away)
        self.archive.mkdir()
        return away

    def left(self) -> set[str]:
        return {path.name for path in self.root.iterdir()}


@pytest.fixture
def scene(tmp_path: Path, empty_database: str) -> Scene:
    found = Scene(tmp_path, empty_database)
    found.write("a.log", "b.log")
    assert found.sweep()["deleted"] == 2
    return found


def test_an_archive_that_is_not_mounted_fails_its_jobs_and_no_file_goes(scene: Scene) -> None:
    scene.write("c.log")
    away = scene.unmount()
    told = rf"{scene.archive} on '.*' has no manifest any more: look whether its disk is mounted"
    for doing in (scene.sweep, scene.verify):
        with pytest.raises(CleanupFailedError, match=told):
            doing()
    assert scene.left() == {"c.log"}
    assert list(scene.archive.iterdir()) == []  # nothing is hidden below the disk
    scene.archive.rmdir()  # a mount point that was not even made
    with pytest.raises(CleanupFailedError, match=told):
        scene.sweep()
    assert not scene.archive.exists()
    away.rename(scene.archive)
    assert scene.sweep()["deleted"] == 1
    assert scene.verify()["verified"] == 3


def test_the_disk_of_another_archive_is_told_and_gets_nothing(scene: Scene) -> None:
    scene.write("c.log")
    scene.unmount()
    manifest.append(scene.archive, {"copy": "x.gz", "sha256": "0", "archived_at": "2026-01-01"})
    with pytest.raises(CleanupFailedError, match="has another archive's manifest"):
        scene.sweep()
    with pytest.raises(CleanupFailedError, match="has another archive's manifest"):
        scene.verify(archive_keep_days=1)
    assert scene.left() == {"c.log"}


def test_an_archive_that_is_gone_for_good_is_accepted_once(scene: Scene) -> None:
    scene.write("c.log")
    shutil.rmtree(scene.archive)
    with pytest.raises(CleanupFailedError, match=f"-p accept={scene.archive}"):
        scene.verify()
    with pytest.raises(CleanupFailedError, match="no rule has the archive '/srv/other'; there are"):
        scene.verify(accept="/srv/other")
    assert scene.verify(accept=str(scene.archive))["note"] == "nothing was ever archived here"
    assert scene.sweep()["deleted"] == 1
    shutil.rmtree(scene.archive)  # the new one is remembered as the old one was
    with pytest.raises(CleanupFailedError, match="has no manifest any more"):
        scene.sweep()


def test_an_archive_of_the_version_before_is_remembered_when_it_is_seen(scene: Scene) -> None:
    scene.sweep()

    async def forget_all() -> None:
        connection = await asyncpg.connect(scene.url)
        await connection.execute("DROP TABLE cleanup.archive")
        await connection.close()

    asyncio.run(forget_all())
    assert scene.verify()["verified"] == 2
    scene.unmount()
    with pytest.raises(CleanupFailedError, match="has no manifest any more"):
        scene.verify()


def test_another_machine_begins_an_archive_of_its_own(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.write("c.log")
    scene.unmount()
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    assert scene.sweep()["deleted"] == 1


def test_where_the_database_cannot_be_asked_nothing_goes(scene: Scene) -> None:
    scene.write("c.log")
    away = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(CleanupFailedError, match="cannot be asked, so nothing goes"):
        scene.sweep(url=away)
    assert scene.left() == {"c.log"}


def test_a_disk_that_goes_between_two_batches_stops_the_sweep(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.write("c.log", "d.log")
    monkeypatch.setattr(removal, "_FILES", 1)
    settle = Archive.settle

    def and_unmount(self: Any, copies: Any) -> Any:
        found = settle(self, copies)
        scene.unmount()
        return found

    monkeypatch.setattr(Archive, "settle", and_unmount)
    with pytest.raises(CleanupFailedError, match="is not the archive any more that it was as this"):
        scene.sweep()
    assert scene.left() == {"d.log"}


def test_a_part_of_an_archive_that_is_away_is_missing_however_old(scene: Scene) -> None:
    for name in ("a.log.gz", "b.log.gz"):
        (scene.archive / name).unlink()
    with pytest.raises(CleanupFailedError, match="2 missing"):
        scene.verify(archive_keep_days=1)
    assert len(manifest.read(scene.archive).kept) == 2


def test_what_another_machine_lets_go_meanwhile_is_not_missing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = manifest.read

    def and_let_go(directory: Path) -> manifest.Manifest:
        found = read(directory)
        for one in found.kept:
            one.file(directory).unlink()
            manifest.append(directory, {"deleted_at": "now", "copy": one.copy})
        return found

    monkeypatch.setattr(manifest, "read", and_let_go)
    assert "missing" not in scene.verify(archive_keep_days=1)


def test_one_archive_at_fault_does_not_keep_the_others_from_being_read(
    scene: Scene, tmp_path: Path
) -> None:
    scene.unmount()
    rule = LogRule(path=f"{scene.root}/*.txt", archive=f"{tmp_path}/other", min_keep=0)
    settings = scene.settings()
    settings = Settings(logs_roots=settings.logs_roots, logs=(*settings.logs, rule))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/manifest.jsonl").mkdir()  # cannot be read
    run = run_context(verify_archive, settings=settings, database_url=scene.url)
    with pytest.raises(CleanupFailedError) as failed:
        verify_archive.function(run)
    assert "has no manifest any more" in str(failed.value)
    assert f"{tmp_path}/other: Is a directory" in str(failed.value)


async def test_rows_stay_while_their_archive_is_not_mounted(
    tmp_path: Path, empty_database: str
) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute("CREATE TABLE note (id int, at timestamptz)")
    rule = TableRule(
        table="note", column="at", keep=timedelta(days=1), archive=str(tmp_path / "rows")
    )
    settings = Settings(tables=(rule,))

    async def clear() -> Any:
        await connection.execute("INSERT INTO note VALUES (1, now() - interval '9 days')")
        return await tables.function(
            run_context(tables, settings=settings, database_url=empty_database)
        )

    assert (await clear())["deleted"] == 1
    shutil.rmtree(tmp_path / "rows")
    with pytest.raises(CleanupFailedError, match=r"note: .*has no manifest any more"):
        await clear()
    assert await connection.fetchval("SELECT count(*) FROM note") == 1
    assert not (tmp_path / "rows").exists()
    await connection.close()


@pytest.mark.parametrize("arguments", [["verify"], ["restore", "--to", "back", "*"]])
def test_a_directory_without_a_manifest_is_no_archive_by_hand(
    tmp_path: Path, arguments: list[str]
) -> None:
    command, *options = arguments
    ended = CliRunner().invoke(cleanup, [command, *options[:2], str(tmp_path), *options[2:]])
    assert ended.exit_code == 1
    assert (
        "is no archive: it has no manifest.jsonl; look whether its disk is mounted" in ended.output
    )
