import errno
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import RunCancelled
from sereno.testing import RecordedRun, run_context
from sereno_cleanup.archives import manifest
from sereno_cleanup.logfiles import archive as archive_module
from sereno_cleanup.logfiles import removal
from sereno_cleanup.logfiles.root import open_root
from sereno_cleanup.logfiles.scan import matches, scan
from sereno_cleanup.logs import CleanupFailedError, logs
from sereno_cleanup.settings import LogRule, Settings, TableRule

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="only /proc tells which files are open"
)
NOW = datetime(2026, 3, 31, 2, 0, tzinfo=UTC)
CONFIRM = {"confirm": True}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "logs"
    found.mkdir()
    return found


def write(path: Path, days_old: float, content: str = "a line\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    at = (NOW - timedelta(days=days_old)).timestamp()
    os.utime(path, (at, at))
    return path


def run_on(
    root: Path,
    *rules: LogRule,
    params: Any = None,
    roots: tuple[str, ...] | None = None,
    **settings: Any,
) -> RecordedRun:
    chosen = rules or (LogRule(path=f"{root}/**/*.log*", min_keep=0),)
    return run_context(
        logs,
        params,
        settings=Settings(logs_roots=roots or (str(root),), logs=chosen, **settings),
        clock=lambda: NOW,
    )


def sweep(root: Path, *rules: LogRule, params: Any = None, **settings: Any) -> dict[str, Any]:
    result: dict[str, Any] = logs.function(run_on(root, *rules, params=params, **settings))
    return result


def unzipped(path: Path) -> bytes:
    with gzip.open(path) as file:
        return file.read()


def names(root: Path) -> set[str]:
    found = (path for path in root.rglob("*") if not path.is_dir() and path.name != ".lock")
    return {str(path.relative_to(root)) for path in found}


def test_each_class_has_its_retention(root: Path) -> None:
    for kind, days in (("app", 30), ("access", 90), ("audit", 730)):
        write(root / f"{kind}-keep.log", days)
        write(root / f"{kind}-go.log", days + 1, "x" * 100)
    result = sweep(
        root,
        LogRule(path=f"{root}/app-*.log"),
        LogRule(path=f"{root}/access-*.log", category="access"),
        LogRule(path=f"{root}/audit-*.log", category="audit"),
    )
    assert names(root) == {"app-keep.log", "access-keep.log", "audit-keep.log"}
    blocks = os.stat(root / "app-keep.log").st_blocks * 512
    assert (result["deleted"], result["bytes"]) == (3, 3 * blocks)
    assert result["rules"][0]["kept"] == {"recent": 1}


def test_a_rule_that_matches_at_any_depth_leaves_other_files_alone(root: Path) -> None:
    write(root / "a.log", 99)
    write(root / "deep/er/b.log.1", 99)
    write(root / "deep/data.csv", 99)
    write(root / ".hidden/c.log", 99)
    write(root / ".d.log", 99)
    assert sweep(root)["deleted"] == 2
    assert names(root) == {"deep/data.csv", ".hidden/c.log", ".d.log"}


def test_a_file_that_several_rules_match_is_left_to_the_most_patient(
    root: Path, tmp_path: Path
) -> None:
    write(root / "app.log", 99)
    write(root / "audit/kept.log", 99)
    write(root / "audit/old.log", 999)
    write(root / "audit/debug.log", 99)
    (tmp_path / "alias").symlink_to(root)
    kept = tmp_path / "kept"
    result = sweep(
        root,
        LogRule(path=f"{root}/**/*.log", min_keep=0),
        LogRule(path=f"{root}/audit/*.log", category="audit", min_keep=0),
        LogRule(path=f"{tmp_path}/alias/audit/old*", keep_days=730, archive=str(kept), min_keep=0),
        LogRule(path=f"{root}/audit/debug.log", keep_days=7, min_keep=0),
        roots=(str(root), f"{tmp_path}/alias"),
    )
    assert names(root) == {"audit/kept.log", "audit/debug.log"}
    assert names(kept) >= {"audit/old.log.gz"}
    assert [one["kept"] for one in result["rules"]] == [
        {"other_rule": 3},
        {"other_rule": 1, "recent": 2},
        {},
        {"other_rule": 1},
    ]


def test_no_rule_sweeps_what_another_has_archived(root: Path) -> None:
    for name in ("rows/old.csv.gz", "files/old.log.gz"):
        write(root / name, 999)
    run = run_context(
        logs,
        settings=Settings(
            logs_roots=(str(root),),
            logs=(
                LogRule(path=f"{root}/**/*", min_keep=0),
                LogRule(path=f"{root}/x/*.log", archive=f"{root}/files"),
            ),
            tables=(TableRule(table="t", column="at", keep=timedelta(1), archive=f"{root}/rows"),),
        ),
        clock=lambda: NOW,
    )
    logs.function(run)
    assert names(root) == {"rows/old.csv.gz", "files/old.log.gz"}


@given(
    parts=st.lists(st.sampled_from(["a", "b", ".a", "ab.log"]), min_size=1, max_size=4),
    pattern=st.lists(st.sampled_from(["**", "*", "a", "?", ".*", "*.log"]), min_size=1, max_size=4),
)
def test_a_path_matches_a_glob_exactly_when_a_sweep_finds_it(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], pattern: list[str]
) -> None:
    with TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as place:
        path = Path(place, *parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with open_root(place) as root:
            found = scan(root, tuple(pattern), frozenset(), lambda: None)
        assert bool(found) is matches(tuple(parts), tuple(pattern))


def test_a_symlink_leads_nowhere(root: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside/precious.log", 99)
    (root / "dir").symlink_to(outside.parent)
    (root / "file.log").symlink_to(outside)
    result = sweep(
        root,
        LogRule(path=f"{root}/**/*.log"),
        LogRule(path=f"{root}/dir/*.log"),
        LogRule(path=f"{root}/*.log"),
    )
    assert result["deleted"] == 0
    assert outside.exists()
    assert result["rules"][2]["kept"] == {"symlink": 1}


def test_a_file_with_a_second_name_stays(root: Path, tmp_path: Path) -> None:
    os.link(write(root / "a.log", 99), tmp_path / "second")
    assert sweep(root)["rules"][0]["kept"] == {"hard_link": 1}
    assert (root / "a.log").exists()


def test_a_dry_run_tells_the_plan_and_touches_nothing(root: Path) -> None:
    write(root / "a.log", 99)
    result = sweep(root, params={"dry_run": True})
    assert names(root) == {"a.log"}
    assert result["dry_run"] is True
    assert result["rules"][0]["planned"] == [
        {"file": "a.log", "day": "2025-12-22", "size_bytes": 7}
    ]
    assert sweep(root, logs_dry_run=True)["deleted"] == 0
    assert sweep(root)["deleted"] == 1


def test_too_much_at_once_wants_a_persons_word(root: Path) -> None:
    for n in range(25):
        write(root / f"{n}.log", 99)
    with pytest.raises(
        CleanupFailedError, match=r"25 of 25 files are more than logs_max_ratio, 0.5"
    ):
        sweep(root)
    assert len(names(root)) == 25
    assert sweep(root, params={"confirm": True})["deleted"] == 25


def test_one_refused_rule_does_not_stop_the_next(root: Path) -> None:
    write(root / "a.log", 99)
    settings = Settings(
        logs_roots=("/etc", str(root)),
        logs=(LogRule(path="/etc/*.log"), LogRule(path=f"{root}/*.log", min_keep=0)),
    )
    with pytest.raises(
        CleanupFailedError, match=r"/etc is refused: .*deleted all the same: 1 files"
    ):
        logs.function(run_context(logs, settings=settings, clock=lambda: NOW))
    assert names(root) == set()


@pytest.mark.parametrize("refused", ["/", "/var", "/etc", "/usr/share", "HOME"])
def test_directories_of_the_system_are_no_roots(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = refused.replace("HOME", str(tmp_path))
    settings = Settings(logs_roots=(path,), logs=(LogRule(path=f"{path.rstrip('/')}/*.none"),))
    with pytest.raises(CleanupFailedError, match="is refused"):
        logs.function(run_context(logs, settings=settings, clock=lambda: NOW))


# C1: a name that is no UTF-8
@pytest.mark.parametrize("mode", ["-p dry_run=true", ""])
def test_a_name_that_is_no_utf8_stops_no_other_file_and_no_other_rule(
    root: Path, tmp_path: Path, mode: str
) -> None:
    strange = os.fsencode(root) + b"/audit-\xff\xfe.log"
    for name in (strange, os.fsencode(root) + b"/z\xe9ro.log"):
        write(Path(os.fsdecode(name)), 99)
    write(root / "plain.log", 99)
    write(root / "other/b.log", 99)
    rules = (
        LogRule(path=f"{root}/*.log", min_keep=0, archive=f"{tmp_path}/kept"),
        LogRule(path=f"{root}/other/*.log", min_keep=0),
    )

    result = sweep(root, *rules, params={"dry_run": bool(mode)})

    assert json.dumps(result, ensure_ascii=False).encode()
    if mode:
        planned = [one["file"] for one in result["rules"][0]["planned"]]
        assert "audit-\\xff\\xfe.log" in planned
        return
    assert result["deleted"] == 4
    assert names(root) == set()
    manifest = (tmp_path / "kept/manifest.jsonl").read_text(encoding="utf-8")
    assert {json.loads(line)["path"] for line in manifest.splitlines()} == {
        "audit-\\xff\\xfe.log",
        "z\\xe9ro.log",
        "plain.log",
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ValueError("a fault that nobody foresaw"), "a fault that nobody foresaw"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "Connection timed out"),  # a disk's
    ],
)
def test_a_file_whose_archive_fails_stays_and_the_others_go(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, told: str
) -> None:
    for name in ("a.log", "b.log", "c.log"):
        write(root / name, 99)
    keep = archive_module.Archive.keep

    def refuse(self: Any, entry: Any, source: Any) -> str:
        if entry.name == "b.log":
            raise fault
        return keep(self, entry, source)

    monkeypatch.setattr(archive_module.Archive, "keep", refuse)
    rule = LogRule(path=f"{root}/*.log", min_keep=0, archive=f"{tmp_path}/kept")
    with pytest.raises(CleanupFailedError, match=rf"1 files .* b.log: {told}"):
        sweep(root, rule)
    assert names(root) == {"b.log"}


# C6: two roots, one archive
def test_the_manifest_names_host_and_root_of_what_several_roots_keep_there(
    root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    write(root / "a.log", 99, "one\n")
    write(other / "a.log", 99, "two\n")
    rules = [
        LogRule(path=f"{place}/*.log", min_keep=0, archive=f"{tmp_path}/kept")
        for place in (root, other)
    ]
    settings = Settings(logs_roots=(str(root), str(other)), logs=tuple(rules))
    logs.function(run_context(logs, settings=settings, clock=lambda: NOW))

    lines = (tmp_path / "kept/manifest.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    assert [(one["root"], one["path"]) for one in kept] == [
        (str(root), "a.log"),
        (str(other), "a.log"),
    ]
    assert {one["host"] for one in kept} == {socket.gethostname()}
    assert len({one["copy"] for one in kept}) == 2


# C7: 3 GiB of nothing
def test_a_sparse_file_frees_what_it_took(root: Path) -> None:
    path = write(root / "a.log", 99)
    with path.open("r+b") as file:
        file.truncate(3 * 2**30)
    os.utime(path, ((NOW - timedelta(days=99)).timestamp(),) * 2)

    assert sweep(root)["bytes"] < 2**20


# C5: two replicas, each with files of its own
def test_the_result_names_the_host_whose_files_were_swept(root: Path) -> None:
    assert sweep(root)["host"] == socket.gethostname()


def test_a_missing_directory_is_said_and_is_no_failure(root: Path) -> None:
    root.rmdir()
    assert sweep(root)["rules"][0]["note"] == f"the directory {root} does not exist"


def test_a_file_replaced_since_the_plan_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "a.log", 99)
    write(root / "b.log", 98)
    run = run_on(root)
    progress = run.reporter.progress

    def replace(done: float, total: float | None, note: str) -> None:
        if done == 1:  # the plan is made, nothing is deleted yet
            write(root / "new", 99).rename(root / "b.log")
        progress(done, total, note)

    monkeypatch.setattr(type(run.reporter), "progress", lambda self, *said: replace(*said))
    result = logs.function(run)
    assert names(root) == {"b.log"}
    assert result["rules"][0]["kept"] == {"changed": 1}


def test_a_directory_swapped_for_a_symlink_since_the_plan_leads_nowhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = write(root / "sub/a.log", 99)
    outside = tmp_path / "outside"
    outside.mkdir()

    def swap(self: Any, *said: Any) -> None:
        inside.rename(outside / "a.log")  # the very same file, so that only the way to it differs
        inside.parent.rmdir()
        inside.parent.symlink_to(outside)

    run = run_on(root)
    monkeypatch.setattr(type(run.reporter), "progress", swap)
    with pytest.raises(CleanupFailedError, match=r"1 files were not deleted, first sub/a.log"):
        logs.function(run)
    assert (outside / "a.log").exists()


@needs_proc
def test_a_file_that_a_process_holds_open_stays(root: Path) -> None:
    with write(root / "a.log", 99).open():
        assert sweep(root)["rules"][0]["kept"] == {"open": 1}
    assert sweep(root)["deleted"] == 1


@needs_proc
def test_another_device_is_not_entered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "mounted/a.log", 99)
    write(root / "b.log", 99)
    fstat = os.fstat

    def elsewhere(descriptor: int) -> Any:
        found = fstat(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("mounted"):
            return os.stat_result((*found[:2], found.st_dev + 1, *found[3:10]))
        return found

    monkeypatch.setattr(os, "fstat", elsewhere)
    assert sweep(root)["deleted"] == 1
    assert names(root) == {"mounted/a.log"}


def test_a_cancelled_sweep_stops_between_two_files(root: Path) -> None:
    write(root / "a.log", 99)
    run = run_on(root)
    run.cancel()
    with pytest.raises(RunCancelled):
        logs.function(run)
    assert names(root) == {"a.log"}


def audit(root: Path) -> LogRule:
    return LogRule(path=f"{root}/**/*.log*", category="audit", archive=f"{root}/kept", min_keep=0)


def test_an_audit_file_goes_only_after_a_verified_copy(root: Path) -> None:
    write(root / "a/audit.log", 800, "who did what\n" * 1000)
    write(root / "b/audit.log", 800, "another\n")
    write(root / "audit.log.gz", 800, "packed already")
    result = sweep(root, audit(root))
    assert (result["deleted"], result["archived"]) == (3, 3)
    assert names(root) == {
        "kept/a/audit.log.gz",
        "kept/b/audit.log.gz",
        "kept/audit.log.gz",
        "kept/manifest.jsonl",
    }
    assert unzipped(root / "kept/a/audit.log.gz") == b"who did what\n" * 1000
    lines = [json.loads(s) for s in (root / "kept/manifest.jsonl").read_text().splitlines()]
    first = next(line for line in lines if line["path"] == "a/audit.log")
    assert first["sha256"] == hashlib.sha256(b"who did what\n" * 1000).hexdigest()
    assert sweep(root, audit(root))["rules"][0]["matched"] == 0  # the archive is not swept


def test_a_second_file_of_the_same_name_does_not_replace_the_first_copy(root: Path) -> None:
    for content in ("one", "two", "two"):
        write(root / "audit.log", 800, content)
        sweep(root, audit(root))
    copies = {unzipped(path) for path in (root / "kept").glob("*.gz")}
    assert copies == {b"one", b"two"}
    assert len(list((root / "kept").glob("*.gz"))) == 2


def test_a_copy_that_differs_leaves_the_original(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "audit.log", 800, "evidence")
    monkeypatch.setattr(archive_module.Archive, "_copy", lambda self, source, target: None)
    with pytest.raises(CleanupFailedError, match="is not equal to its original, which stays"):
        sweep(root, audit(root))
    assert names(root) == {"audit.log"}


def test_a_file_that_grows_while_it_is_copied_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root / "audit.log", 800, "evidence")
    enter = archive_module.Archive._enter

    def enter_and_grow(*said: Any) -> None:
        enter(*said)
        with path.open("a") as file:
            file.write(", and more")

    monkeypatch.setattr(archive_module.Archive, "_enter", enter_and_grow)
    assert sweep(root, audit(root))["rules"][0]["kept"] == {"changed": 1}
    assert path.read_text() == "evidence, and more"


def test_a_full_disk_leaves_the_original_and_no_half_copy(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "audit.log", 800, "evidence")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive_module.Archive, "_copy", full)
    with pytest.raises(CleanupFailedError, match=r"cannot be archived: .*No space left"):
        sweep(root, audit(root))
    assert names(root) == {"audit.log"}


def test_a_crash_between_copy_and_delete_is_made_good(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "audit.log", 800, "evidence")
    with monkeypatch.context() as patch:
        patch.setattr(
            removal.os, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            sweep(root, audit(root))
    assert names(root) == {"audit.log", "kept/audit.log.gz", "kept/manifest.jsonl"}
    sweep(root, audit(root))
    assert names(root) == {"kept/audit.log.gz", "kept/manifest.jsonl"}


KILLED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from sereno.testing import run_context
from sereno_cleanup.logfiles import archive, removal
from sereno_cleanup.logs import logs
from sereno_cleanup.settings import LogRule, Settings

root, step, turn = sys.argv[1], sys.argv[2], int(sys.argv[3])
owner, name = {
    "copied": (archive.Archive, "_copy"), "synced": (archive, "_sync"),
    "renamed": (Path, "rename"), "placed": (archive, "sync_directory"),
    "entered": (archive.manifest, "append"), "unlinked": (removal.os, "unlink"),
}[step]
real, calls = getattr(owner, name), []

def deadly(*said, **more):
    calls.append(1)
    if len(calls) == turn:
        os._exit(9)
    return real(*said, **more)

setattr(owner, name, deadly)
rule = LogRule(path=f"{root}/**/*.log", min_keep=0, archive=f"{root}/kept")
settings = Settings(logs_roots=(root,), logs=(rule,))
logs.function(run_context(logs, {"confirm": True}, settings=settings))
"""


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("step", ["copied", "synced", "renamed", "placed", "entered", "unlinked"])
def test_killed_at_any_step_of_a_batch_each_original_or_a_verified_copy_is_there(
    root: Path, step: str, turn: int
) -> None:
    contents = {f"{n % 3}/app-{n}.log": f"line {n}\n" for n in range(120)}  # more than a batch
    for name, content in contents.items():
        write(root / name, 800, content)
    command = [sys.executable, "-c", KILLED, str(root), step, str(turn)]
    assert subprocess.run(command, timeout=60).returncode == 9
    kept = {one.path: one for one in manifest.read(root / "kept").kept}
    for name, content in contents.items():
        if not (root / name).exists():
            assert unzipped(kept[name].file(root / "kept")) == content.encode()
    sweep(
        root, LogRule(path=f"{root}/**/*.log", min_keep=0, archive=f"{root}/kept"), params=CONFIRM
    )
    assert names(root) == {f"kept/{name}.gz" for name in contents} | {"kept/manifest.jsonl"}
    kept = {one.path: one for one in manifest.read(root / "kept").kept}
    assert {name: unzipped(one.file(root / "kept")) for name, one in kept.items()} == {
        name: content.encode() for name, content in contents.items()
    }


def test_two_files_of_a_batch_whose_copies_would_have_one_name_are_both_kept(root: Path) -> None:
    write(root / "a.log", 800, "plain")
    write(root / "a.log.gz", 801, "packed already")
    sweep(root, LogRule(path=f"{root}/a.*", min_keep=0, archive=f"{root}/kept"))
    kept = {one.path: one for one in manifest.read(root / "kept").kept}
    assert unzipped(kept["a.log"].file(root / "kept")) == b"plain"
    assert kept["a.log.gz"].file(root / "kept").read_text() == "packed already"
