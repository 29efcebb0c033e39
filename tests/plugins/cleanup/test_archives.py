import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sereno.testing import run_context
from sereno_cleanup.archives import manifest
from sereno_cleanup.archives.restoration import RestoreError, matching, restore
from sereno_cleanup.commands import cleanup
from sereno_cleanup.logs import CleanupFailedError, logs
from sereno_cleanup.plugin import sereno_register_jobs
from sereno_cleanup.settings import LogRule, Settings, TableRule
from sereno_cleanup.verify_archive import verify_archive

NOW = datetime(2026, 3, 31, 2, 0, tzinfo=UTC)
ODD = os.fsdecode(b"\xff\xfe.log")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Four files are in it: of a subdirectory, compressed before, of an odd name."""
    root = tmp_path / "logs"
    for name, days in (("a.log", 99), ("sub/b.log", 99), ("c.log.gz", 800), (ODD, 99)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {path.name!r}\n".encode())
        at = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    logs.function(run_context(logs, settings=settings_of(tmp_path), clock=lambda: NOW))
    assert not any(path.is_file() for path in root.rglob("*"))
    return tmp_path / "kept"


def settings_of(place: Path, **changes: Any) -> Settings:
    rule = LogRule(path=f"{place}/logs/**/*", min_keep=0, archive=f"{place}/kept", **changes)
    return Settings(logs_roots=(f"{place}/logs",), logs=(rule,))


def verify(archive: Path, **changes: Any) -> dict[str, Any]:
    run = run_context(
        verify_archive, settings=settings_of(archive.parent, **changes), clock=lambda: NOW
    )
    result: dict[str, Any] = verify_archive.function(run)
    return dict(result["archives"][0])


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cleanup, [*arguments])


def test_whole_copies_are_counted(archive: Path) -> None:
    assert verify(archive) == {"archive": str(archive), "verified": 4}


def spoil(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def test_a_copy_that_is_not_what_it_was_or_is_gone_fails_the_run_by_name(archive: Path) -> None:
    spoil(archive / "a.log.gz")
    (archive / "sub/b.log.gz").unlink()
    with pytest.raises(CleanupFailedError) as failed:
        verify(archive)
    assert str(failed.value) == (f"{archive}: 1 missing (sub/b.log.gz), 1 broken (a.log.gz)")


@pytest.mark.parametrize("spoiled", [b"", b"\x1f\x8b", b"no gzip at all"])
def test_a_copy_of_any_rubbish_is_broken(archive: Path, spoiled: bytes) -> None:
    (archive / "a.log.gz").write_bytes(spoiled)
    with pytest.raises(CleanupFailedError, match=r"1 broken \(a.log.gz\)"):
        verify(archive)


def test_a_file_that_no_line_names_is_told(archive: Path) -> None:
    (archive / "stray.log.gz").write_bytes(b"?")
    assert verify(archive)["unlisted"] == ["stray.log.gz"]


def test_a_copy_goes_after_its_own_time_when_it_is_whole(archive: Path) -> None:
    assert verify(archive, archive_keep_days=730)["deleted"] == 1
    assert not (archive / "c.log.gz").exists()
    assert verify(archive, archive_keep_days=730)["verified"] == 3
    assert verify(archive, archive_keep_days=30)["deleted"] == 3
    assert manifest.read(archive).kept == ()


def test_a_broken_copy_does_not_go_however_old(archive: Path) -> None:
    spoil(archive / "c.log.gz")
    with pytest.raises(CleanupFailedError, match=r"1 broken \(c.log.gz\)"):
        verify(archive, archive_keep_days=730)
    assert (archive / "c.log.gz").exists()


def test_a_reading_without_time_goes_on_where_it_ended(archive: Path) -> None:
    seen: list[int] = []
    for _ in range(5):
        run = run_context(verify_archive, settings=settings_of(archive.parent), clock=lambda: NOW)
        run.deadline = NOW + timedelta(seconds=16)
        instants = iter([NOW, *[NOW] * 2, *[NOW + timedelta(seconds=5)] * 9])
        run.clock = lambda instants=instants: next(instants)
        [found] = verify_archive.function(run)["archives"]
        seen.append(found["verified"])
        assert found["complete"] is False
        mark = (archive / ".verified").read_text()
    assert seen == [2, 2, 2, 2, 2]
    assert mark


def test_a_torn_line_is_told_and_the_next_one_stands_alone(archive: Path) -> None:
    with (archive / "manifest.jsonl").open("ab") as file:
        file.write(b'{"copy": "half')
    manifest.append(archive, {"deleted_at": "now", "copy": "a.log.gz"})
    found = manifest.read(archive)
    assert found.torn == 1
    assert len(found.kept) == 3


def test_the_most_patient_rule_of_an_archive_decides() -> None:
    def kept(*days: int | None) -> dict[str, int | None]:
        rules = [LogRule(path="/l/x", archive="/a", archive_keep_days=d) for d in days]
        table = TableRule(
            table="t", column="at", keep=timedelta(days=1), archive="/b", archive_keep_days=9
        )
        return Settings(logs_roots=("/l",), logs=tuple(rules), tables=(table,)).archives()

    assert kept(10, 730) == {"/a": 730, "/b": 9}
    assert kept(10, None, 730) == {"/a": None, "/b": 9}


def test_the_job_is_there_where_an_archive_is(tmp_path: Path) -> None:
    names = {job.name for job in sereno_register_jobs(settings_of(tmp_path))}
    assert "cleanup.verify_archive" in names
    assert "cleanup.verify_archive" not in {job.name for job in sereno_register_jobs(Settings())}


def test_originals_are_put_back_as_they_were(archive: Path, tmp_path: Path) -> None:
    ended = command("restore", str(archive), "*", "--to", str(tmp_path / "back"))
    assert ended.exit_code == 0, ended.output
    back = tmp_path / "back"
    assert (back / "sub/b.log").read_bytes() == b"content of 'b.log'\n"
    assert (back / "c.log.gz").read_bytes() == b"content of 'c.log.gz'\n"
    assert (back / "a.log").stat().st_mtime == (NOW - timedelta(days=99)).timestamp()
    assert len([path for path in back.rglob("*") if path.is_file()]) == 4


def test_nothing_is_replaced_and_nothing_half_is_left(archive: Path, tmp_path: Path) -> None:
    back = tmp_path / "back"
    command("restore", str(archive), "a.log", "--to", str(back))
    again = command("restore", str(archive), "a.log", "--to", str(back))
    assert again.exit_code == 1
    assert "is there already" in again.output
    spoil(archive / "sub/b.log.gz")
    ended = command("restore", str(archive), "sub/*", "--to", str(back))
    assert ended.exit_code == 1
    assert "sub/b.log.gz" in ended.output
    assert {path.name for path in back.rglob("*") if path.is_file()} == {"a.log"}


def test_a_pattern_that_matches_nothing_says_so(archive: Path, tmp_path: Path) -> None:
    ended = command("restore", str(archive), "nosuch*", "--to", str(tmp_path / "back"))
    assert ended.exit_code == 1
    assert "none of the 4 copies" in ended.output


def test_a_manifest_cannot_lead_out_of_the_place(archive: Path, tmp_path: Path) -> None:
    line = json.loads((archive / "manifest.jsonl").read_text().splitlines()[0])
    manifest.append(archive, line | {"path": "../../out.log", "copy": "evil.gz"})
    (archive / "evil.gz").write_bytes(gzip.compress(b"x"))
    ended = command("restore", str(archive), "evil.gz", "--to", str(tmp_path / "back"))
    assert ended.exit_code == 1
    assert "would leave" in ended.output


def test_verify_by_hand_exits_1_and_names_what_is_wrong(archive: Path) -> None:
    assert command("verify", str(archive)).output.startswith("4 copies are what they were")
    spoil(archive / "a.log.gz")
    ended = command("verify", str(archive))
    assert ended.exit_code == 1
    assert "broken: a.log.gz" in ended.output


def test_a_link_to_nowhere_and_a_part_of_somebody_s_are_not_replaced(
    archive: Path, tmp_path: Path
) -> None:
    (one,) = matching(archive, "a.log")
    back = tmp_path / "back"
    back.mkdir()
    (back / "a.log.part").write_bytes(b"somebody's")
    with pytest.raises(RestoreError, match="is there already"):
        restore(archive, one, back)
    assert (back / "a.log.part").read_bytes() == b"somebody's"
    (back / "a.log.part").unlink()
    (back / "a.log").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RestoreError, match="is there already"):
        restore(archive, one, back)
    assert (back / "a.log").is_symlink()
