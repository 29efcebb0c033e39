import errno
import gzip
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.servers.waiting import wait_until

from sereno.testing import run_context
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.plugin import sereno_register_jobs
from sereno_cleanup.rotate import rotate
from sereno_cleanup.rotation import rotation as rotation_module
from sereno_cleanup.rotation.rotated import RotatedName, aside_of
from sereno_cleanup.settings import LogRule, RotationRule, Settings

from .rotating import NOW, turn

ASIDE = "app.log-20260331T020000Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "logs"
    found.mkdir()
    return found


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_a_large_file_is_put_aside_and_an_empty_one_of_its_rights_takes_its_place(
    root: Path,
) -> None:
    path = root / "app.log"
    path.write_bytes(b"x" * 100)
    path.chmod(0o640)
    (root / "small.log").write_bytes(b"x" * 99)

    assert turn(root)["rotated"] == [ASIDE]

    assert names(root) == {"app.log", ASIDE, "small.log"}
    assert (root / ASIDE).read_bytes() == b"x" * 100
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (0, 0o640)
    assert turn(root, at=NOW + timedelta(hours=1)).get("rotated") is None


@pytest.mark.parametrize(("method", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_what_was_put_aside_is_compressed_by_the_next_run(
    root: Path, method: str, suffix: str
) -> None:
    (root / "app.log").write_bytes(b"a line\n" * 5000)
    turn(root, compress=method)
    done = turn(root, at=NOW + timedelta(minutes=15), compress=method)

    assert (done["compressed"], names(root)) == (1, {"app.log", ASIDE + suffix})
    assert done["saved_bytes"] > 30_000
    packed = (root / (ASIDE + suffix)).read_bytes()
    unpack = (
        gzip.decompress
        if method == "gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress
    )
    assert unpack(packed) == b"a line\n" * 5000


def test_what_a_program_still_writes_to_is_not_compressed(root: Path) -> None:
    with (root / "app.log").open("ab") as file:
        file.write(b"x" * 200)
        file.flush()
        turn(root)
        file.write(b" and more")
        file.flush()
        assert "compressed" not in turn(root, at=NOW + timedelta(minutes=15))
    turn(root, at=NOW + timedelta(minutes=30))
    assert gzip.decompress((root / f"{ASIDE}.gz").read_bytes()) == b"x" * 200 + b" and more"


PROGRAM = """
import signal, sys
path = sys.argv[1]
file = open(path, "a")
def reopen(*_):
    global file
    file.close()
    file = open(path, "a")
    print("reopened", flush=True)
signal.signal(signal.SIGUSR1, reopen)
print("ready", flush=True)
for line in sys.stdin:
    file.write(line)
    file.flush()
    print("written", flush=True)
"""


def test_a_program_that_is_told_loses_no_line(root: Path, tmp_path: Path) -> None:
    path, pid_file = root / "app.log", tmp_path / "app.pid"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], **pipes) as program:  # type: ignore[call-overload]
        try:
            pid_file.write_text(f"{program.pid}\n")
            assert program.stdout.readline() == b"ready\n"
            for n in range(20):
                program.stdin.write(b"line %d\n" % n)
                program.stdin.flush()
                assert program.stdout.readline() == b"written\n"
                if n == 9:
                    turn(root, max_bytes=1, reopen_pid_file=str(pid_file), reopen_signal="USR1")
                    assert program.stdout.readline() == b"reopened\n"
        finally:
            program.kill()
    assert (root / ASIDE).read_text() == "".join(f"line {n}\n" for n in range(10))
    assert path.read_text() == "".join(f"line {n}\n" for n in range(10, 20))


def test_a_program_that_was_not_reached_is_told_again_by_the_next_run(
    root: Path, tmp_path: Path
) -> None:
    path, mark = root / "app.log", tmp_path / "told"
    tell = (sys.executable, "-c", f"open({str(mark)!r}, 'a').write('x')")
    with path.open("ab") as file:  # a program that writes on where it writes
        file.write(b"x" * 100)
        file.flush()
        with pytest.raises(CleanupFailedError, match="ended with 1"):
            turn(root, reopen_command=(sys.executable, "-c", "import sys; sys.exit(1)"))
        turn(root, at=NOW + timedelta(minutes=15), reopen_command=tell)
        assert mark.read_text() == "x"
    with (root / ASIDE).open("rb"):  # who only reads it has nothing to open again
        turn(root, at=NOW + timedelta(minutes=30), reopen_command=tell)
    turn(root, at=NOW + timedelta(minutes=45), reopen_command=tell)
    assert mark.read_text() == "x"
    assert names(root) == {"app.log", f"{ASIDE}.gz"}


@pytest.mark.parametrize("text", ["0", "-1", "1", "", "12 34", "\xff", "9" * 30, "self"])
def test_a_pid_file_that_names_no_program_signals_nobody(
    root: Path, tmp_path: Path, text: str
) -> None:
    (root / "app.log").write_bytes(b"x" * 100)
    pid_file = tmp_path / "app.pid"
    word = {"self": str(os.getpid()), "12 34": "nobody"}.get(text, text)
    pid_file.write_bytes(word.encode("latin-1"))
    with pytest.raises(CleanupFailedError, match=r"no number of a program.*all the same: 1"):
        turn(root, reopen_pid_file=str(pid_file))


def test_a_command_that_fails_is_told_and_the_file_stays_put_aside(root: Path) -> None:
    (root / "app.log").write_bytes(b"x" * 100)
    command = (sys.executable, "-c", "import sys; sys.exit('no such unit')")
    with pytest.raises(CleanupFailedError, match=r"ended with 1: no such unit.*all the same: 1"):
        turn(root, reopen_command=command)
    assert names(root) == {"app.log", ASIDE}


def test_a_file_is_copied_and_cut_for_a_program_that_cannot_reopen(root: Path) -> None:
    with (root / "app.log").open("ab") as file:
        file.write(b"x" * 200)
        file.flush()
        done = turn(root, method="copy", compress="none")
        file.write(b"after")
        file.flush()
    assert (root / ASIDE).read_bytes() == b"x" * 200
    assert (root / "app.log").read_bytes() == b"after"
    assert done.get("lost_bytes", 0) == 0


def test_what_comes_between_the_copy_and_the_cut_is_counted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "app.log"
    path.write_bytes(b"x" * 200)
    fstat, asked = os.fstat, []

    def late(descriptor: int) -> os.stat_result:
        asked.append(descriptor)
        if len(asked) > 1 and asked[-1] == asked[0]:  # just before the cut
            with path.open("ab") as other:
                other.write(b"12345")
        return fstat(descriptor)

    monkeypatch.setattr(rotation_module.os, "fstat", late)
    written = rotation_module._copy_and_cut(
        os.open(root, os.O_RDONLY), "app.log", "b", lambda: None
    )
    assert (written, path.read_bytes(), (root / "b").read_bytes()) == (5, b"", b"x" * 200)


def test_what_is_archived_is_not_put_aside_and_many_faults_are_a_short_text(root: Path) -> None:
    kept = root / "kept"
    kept.mkdir()
    (kept / "manifest.jsonl").write_bytes(b"x" * 200)
    for n in range(40):
        (root / f"{n:03}{'x' * 245}").write_bytes(b"x" * 200)  # longer with a date behind it
    rules = (RotationRule(path=f"{root}/**/*", max_bytes=100),)
    logs = (LogRule(path=f"{root}/none/*.log", archive=str(kept)),)
    settings = Settings(logs_roots=(str(root),), rotations=rules, logs=logs)
    with pytest.raises(CleanupFailedError, match=r"File name too long.*; and 20 more") as caught:
        rotate.function(run_context(rotate, settings=settings, clock=lambda: NOW))
    assert str(caught.value).count("File name too long") == 20
    assert [path.name for path in kept.iterdir()] == ["manifest.jsonl"]


def test_age_counts_from_the_last_time(root: Path) -> None:
    path = root / "app.log"
    changes = {"max_bytes": None, "max_age": timedelta(days=1), "compress": "none"}
    for hours, rotated in ((0, True), (12, False), (24, True), (47, False), (48, True)):
        path.write_bytes(b"x")
        done = turn(root, at=NOW + timedelta(hours=hours), **changes)
        assert bool(done.get("rotated")) is rotated, hours


def test_an_empty_file_and_one_that_was_put_aside_stay(root: Path) -> None:
    (root / "app.log").write_bytes(b"")
    (root / f"{ASIDE}.log-20260301T000000Z").write_bytes(b"x" * 200)
    (root / "b.log-20260301T000000Z").write_bytes(b"x" * 200)
    turn(root, path=f"{root}/*", compress="none")
    assert len(names(root)) == 3


def test_a_link_is_not_rotated_and_a_second_turn_in_the_same_second_replaces_nothing(
    root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "precious.log"
    outside.write_bytes(b"x" * 200)
    (root / "link.log").symlink_to(outside)
    path = root / "app.log"
    path.write_bytes(b"first" * 50)
    for _ in range(3):
        turn(root)
        path.write_bytes(b"second" * 50)
    assert gzip.decompress((root / f"{ASIDE}.gz").read_bytes()) == b"first" * 50
    assert path.read_bytes() == b"second" * 50
    assert outside.read_bytes() == b"x" * 200


def test_one_files_fault_is_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.log", "b.log"):
        (root / name).write_bytes(b"x" * 200)
    rename = rotation_module._rename

    def refuse(directory: int, name: str, target: str) -> None:
        if name == "a.log":
            raise PermissionError(13, "Permission denied")
        rename(directory, name, target)

    monkeypatch.setattr(rotation_module, "_rename", refuse)
    with pytest.raises(CleanupFailedError, match=r"a.log: Permission denied .*all the same: 1"):
        turn(root)
    assert (root / "b.log-20260331T020000Z").exists()


def test_a_file_that_is_written_all_the_time_loses_nothing_by_a_rename(root: Path) -> None:
    path, stop = root / "app.log", threading.Event()
    with path.open("ab", buffering=0) as file:

        def write() -> None:
            n = 0
            while not stop.is_set():
                file.write(b"%d\n" % n)
                n += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            wait_until(lambda: path.stat().st_size > 100, "the first lines")
            turn(root)
        finally:
            stop.set()
            thread.join()
    lines = (root / ASIDE).read_bytes().split()
    assert [int(line) for line in lines] == list(range(len(lines)))
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("app.log-20260331T020000Z", NOW),
        ("app.log-20260331T020000Z.gz", NOW),
        ("app.log-20260331T020000Z.gz.part", NOW),
        ("app.log-20261331T020000Z", None),
        ("app.log-٢٠٢٦٠٣٣١T020000Z", None),
        ("app.log-2026-03-31", None),
    ],
)
def test_the_name_says_when_a_file_was_put_aside(name: str, at: datetime | None) -> None:
    packed = name.endswith((".gz", ".part"))
    assert aside_of(name) == (None if at is None else RotatedName("app.log", at, packed))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"path": "/l/*.log"}, "max_bytes, max_age or both"),
        ({"path": "l/*.log", "max_bytes": 1}, "must be absolute"),
        ({"path": "/l/*.log", "max_age": timedelta(0)}, "longer than nothing"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RotationRule(**changes)


def test_the_job_is_there_where_a_rule_is(root: Path) -> None:
    rule = RotationRule(path=f"{root}/*.log", max_bytes=1)
    settings = Settings(logs_roots=(str(root),), rotations=(rule,))
    assert "cleanup.rotate" in {job.name for job in sereno_register_jobs(settings)}
    with pytest.raises(ValueError, match="is in none of logs_roots"):
        Settings(rotations=(rule,))


def test_a_full_disk_in_the_middle_of_a_copy_leaves_no_half_of_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "app.log"
    path.write_bytes(b"x" * 5000)

    def full(source: Any, target: Any, check: Any) -> int:
        target.write(source.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rotation_module, "_copied", full)
    for minutes in (0, 15, 30):  # each half would take some of what is left of the disk
        with pytest.raises(CleanupFailedError, match="No space left"):
            turn(root, NOW + timedelta(minutes=minutes), method="copy")
    assert names(root) == {"app.log"}
    assert path.read_bytes() == b"x" * 5000


def test_what_a_killed_run_has_left_of_a_copy_goes(root: Path) -> None:
    (root / "app.log").write_bytes(b"x" * 500)
    (root / ".app.log-20260331T010000Z.part").write_bytes(b"x" * 100)
    (root / ".app.log.part").write_bytes(b"somebody's")
    assert turn(root, method="copy", compress="none")["rotated"] == [ASIDE]
    assert names(root) == {"app.log", ASIDE, ".app.log.part"}
    assert (root / ASIDE).stat().st_size == 500


def test_a_file_with_a_second_name_is_not_cut(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "not-a-log"
    other.write_bytes(b"x" * 500)
    os.link(other, root / "app.log")
    (root / "next.log").write_bytes(b"x" * 500)
    with pytest.raises(CleanupFailedError, match="a second name"):
        turn(root, method="copy")
    assert other.read_bytes() == b"x" * 500
    assert (root / "next.log").stat().st_size == 0


def test_what_is_no_file_is_not_rotated_and_stops_no_other(root: Path) -> None:
    os.mkfifo(root / "pipe.log")
    (root / "gone.log").symlink_to(root / "nowhere")
    odd = os.fsencode(root) + b"/new\nline \xff.log"
    for name in (odd, os.fsencode(root / "app.log")):
        with open(name, "wb") as file:
            file.write(b"x" * 500)
    for method in ("rename", "copy"):
        later = NOW + timedelta(hours=method == "copy")
        found = turn(root, later, method=method, max_bytes=1, compress="none")
        assert len(found.get("rotated", [])) == (2 if method == "rename" else 0)
        assert os.stat(odd).st_size == 0
