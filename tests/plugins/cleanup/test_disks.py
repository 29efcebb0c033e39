"""A disk of log files that fills is told to people, before it is full."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno.model.run import SaidMessage
from sereno.testing import RecordingReporter, run_context
from sereno_cleanup.disk_watch import disks
from sereno_cleanup.filling import fills_in, is_full
from sereno_cleanup.plugin import sereno_register_jobs
from sereno_cleanup.settings import LogRule, Settings

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
GIB = 2**30
SIZE = 100 * GIB
Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[SaidMessage]:
    found: list[SaidMessage] = []
    monkeypatch.setattr(RecordingReporter, "notify", lambda _, message: found.append(message))
    return found


@pytest.fixture
def measure(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[SaidMessage]
) -> Measure:
    """Run the job `after` an instant, on a disk of `size` with so much free."""
    rule = LogRule(path=f"{tmp_path}/*.log", archive=f"{tmp_path}/archive")
    settings = Settings(logs_roots=(str(tmp_path),), logs=(rule,))
    (tmp_path / "archive").mkdir()

    def measured(
        free: int,
        after: timedelta = timedelta(0),
        *,
        size: int = SIZE,
        files: tuple[int, int] = (900, 1000),
        readonly: bool = False,
    ) -> dict[str, Any]:
        disk = SimpleNamespace(
            f_bavail=free // 4096,
            f_blocks=size // 4096,
            f_frsize=4096,
            f_favail=files[0],
            f_files=files[1],
            f_flag=os.ST_RDONLY if readonly else 0,
        )
        monkeypatch.setattr(os, "statvfs", lambda _: disk)
        run = run_context(
            disks, settings=settings, database_url=empty_database, clock=lambda: NOW + after
        )
        result: dict[str, Any] = disks.function(run)
        return result

    return measured


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def test_a_disk_that_fills_within_days_is_told_once_a_day(
    measure: Measure, said: list[SaidMessage], tmp_path: Path
) -> None:
    for half in range(5):  # 0.5 GiB an hour: 31 GiB are gone in 62 hours
        measure(33 * GIB - half * GIB // 4, hours(half / 2))
    assert {one.token for one in said} == {said[0].token}  # of one token the kernel tells once
    message = said[0].message
    assert message.severity == "warning"
    assert message.title.startswith(f"the disk of {tmp_path} on '")
    assert "will be full in 2.7 days, as the last hours went on" in message.title
    assert "free: 32.5 GiB of 100.0 GiB (32.5 %)" in message.text
    assert f"path: {tmp_path}/archive" in message.text  # the same disk is told of once
    measure(20 * GIB, hours(24))
    for half in range(1, 5):
        measure(20 * GIB - half * GIB // 4, hours(24 + half / 2))
    assert len({one.token for one in said}) == 2


def test_a_disk_is_told_of_after_an_hour_and_not_before(
    measure: Measure, said: list[SaidMessage]
) -> None:
    measure(30 * GIB)
    assert measure(20 * GIB, hours(0.5))["disks"][0].get("fills_in_s") is None
    assert said == []
    assert measure(10 * GIB, hours(1))["disks"][0]["fills_in_s"] == pytest.approx(1800)
    assert "will be full in 0.5 hours" in said[0].message.title


@pytest.mark.parametrize(
    "free",
    [
        [40, 40, 40, 40, 40],  # nothing happens
        [40, 39.99, 39.98, 39.97, 39.96],  # in some 80 days
        [90, 85, 80, 75, 70],  # quickly, and over half is free
        [10, 20, 30, 40, 45],  # it empties
    ],
)
def test_a_disk_with_room_is_not_told_of(
    measure: Measure, said: list[SaidMessage], free: list[float]
) -> None:
    for half, gib in enumerate(free):
        measure(int(gib * GIB), hours(half / 2))
    assert said == []


def test_a_full_disk_is_told_of_at_once_and_beside_that_it_fills(
    measure: Measure, said: list[SaidMessage]
) -> None:
    for half in range(4):
        measure(30 * GIB - half * 9 * GIB, hours(half / 2))
    measure(4096, hours(2))
    filling, full = said[0], said[-1]
    assert filling.token != full.token
    assert full.message.severity == "critical"
    assert full.message.title.endswith("is full: 4.0 KiB left")


def test_a_disk_without_room_for_another_file_is_full(
    measure: Measure, said: list[SaidMessage]
) -> None:
    measure(90 * GIB, files=(0, 6_553_600))
    (one,) = said
    assert one.message.title.startswith("the number of files on the disk of ")
    assert one.message.title.endswith("is full: 0 files left")


def test_a_disk_that_nobody_writes_to_is_not_told_of(
    measure: Measure, said: list[SaidMessage]
) -> None:
    assert measure(0, readonly=True)["disks"] == []
    assert said == []


def test_a_larger_disk_in_its_place_begins_anew(measure: Measure, said: list[SaidMessage]) -> None:
    for half in range(3):
        measure(400 * GIB, hours(half / 2), size=500 * GIB)
    measure(40 * GIB, hours(2))  # a fall of 360 GiB that is none
    assert said == []


def test_a_disk_that_says_more_than_can_be_kept_is_measured(measure: Measure) -> None:
    found = measure(2**80, size=2**90)["disks"][0]
    assert found["free"] == found["size"] == 2**63 - 1


async def test_what_was_measured_goes_after_two_days(measure: Measure, empty_database: str) -> None:
    for day in range(5):
        await asyncio.to_thread(measure, 90 * GIB, timedelta(days=day))
    connection = await asyncpg.connect(empty_database)
    kept = await connection.fetchval("SELECT count(DISTINCT at) FROM cleanup.disk")
    await connection.close()
    assert kept == 3


def test_a_directory_that_is_not_there_has_no_disk(tmp_path: Path) -> None:
    settings = Settings(logs_roots=(f"{tmp_path}/none",))
    assert disks.function(run_context(disks, settings=settings))["disks"] == []
    real = Settings(logs_roots=(str(tmp_path),))
    found = disks.function(run_context(disks, settings=real))["disks"]
    assert found[0]["size"] > 0  # of this machine, as its file system says


def test_the_job_is_there_where_a_directory_is(tmp_path: Path) -> None:
    def names(**settings: Any) -> set[str]:
        return {job.name for job in sereno_register_jobs(Settings(**settings))}

    assert "cleanup.disks" not in names()
    assert "cleanup.disks" in names(logs_roots=("/srv/logs",))
    assert "cleanup.disks" not in names(logs_roots=("/srv/logs",), disks_enabled=False)


@given(
    start=st.integers(1, 10**15),
    slope=st.integers(1, 10**9),
    count=st.integers(3, 30),
)
def test_a_steady_fall_ends_when_nothing_is_left(start: int, slope: int, count: int) -> None:
    seconds = [1800.0 * n for n in range(count)]
    free = [start + slope * 1800 * (count - 1 - n) for n in range(count)]
    found = fills_in(list(zip(seconds, free, strict=True)), 10 * max(free))
    assert found == pytest.approx(start / slope, rel=1e-3, abs=1)


@given(
    measured=st.lists(st.tuples(st.floats(0, 21_600), st.integers(0, 2**63 - 1)), max_size=30),
    size=st.integers(1, 2**63 - 1),
)
def test_whatever_was_measured_there_is_an_answer(
    measured: list[tuple[float, int]], size: int
) -> None:
    found = fills_in(sorted(measured), size)
    assert found is None or found >= 0
    assert is_full(0, size)
