"""What a kill, a full disk, another run or a strange name does to files: nothing is lost."""

import gzip
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner
from tests.servers.waiting import wait_until

from sereno.testing import run_context
from sereno_cleanup.archives import alone as alone_module
from sereno_cleanup.archives import manifest
from sereno_cleanup.archives.alone import alone
from sereno_cleanup.commands import cleanup
from sereno_cleanup.expiry import vault as vault_module
from sereno_cleanup.logs import CleanupFailedError, logs
from sereno_cleanup.rotation import beside as beside_module
from sereno_cleanup.rotation import compression
from sereno_cleanup.rotation import rotation as rotation_module
from sereno_cleanup.settings import LogRule, Settings
from sereno_cleanup.verify_archive import verify_archive

from .rotating import NOW, turn

LATER = NOW + timedelta(minutes=15)
STAMP = "20260331T020000Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "logs"
    found.mkdir()
    return found


def sweep(root: Path, archive: Path | None = None, **changes: Any) -> dict[str, Any]:
    kept = None if archive is None else str(archive)
    path = changes.pop("path", f"{root}/**/*")
    rule = LogRule(path=path, min_keep=0, archive=kept, archive_keep_days=9)
    settings = Settings(logs_roots=(str(root),), logs=(rule,), **changes)
    run = run_context(logs, {"confirm": True}, settings=settings, clock=lambda: NOW)
    result: dict[str, Any] = logs.function(run)
    return result


def verified(root: Path, archive: Path) -> dict[str, Any]:
    rule = LogRule(path=f"{root}/*", archive=str(archive), archive_keep_days=9)
    settings = Settings(logs_roots=(str(root),), logs=(rule,))
    run = run_context(verify_archive, settings=settings, clock=lambda: NOW)
    return dict(verify_archive.function(run)["archives"][0])


def write(path: Path, content: bytes, days: int = 800) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    at = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))
    return path


def kept(archive: Path) -> dict[str, bytes]:
    """Return the content of each original that the archive holds, by its path."""
    return {
        str(one.path): gzip.decompress(one.file(archive).read_bytes())
        for one in manifest.read(archive).kept
    }


@contextmanager
def files_of(most: int) -> Iterator[None]:
    """Let no file that this process writes grow beyond `most` bytes: as a full disk, it refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def killed(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_a_file_whose_run_was_killed_before_the_empty_one_came_has_one_and_its_program_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = root / "app.log", tmp_path / "told"
    with path.open("ab") as program:
        program.write(b"x" * 100)
        program.flush()
        with monkeypatch.context() as patch:
            patch.setattr(rotation_module, "_begin", killed)
            with pytest.raises(KeyboardInterrupt):
                turn(root)
        assert not path.exists()
        turn(root, LATER, reopen_command=("touch", str(told)))
    assert (path.stat().st_size, told.exists()) == (0, True)
    turn(root, LATER + timedelta(minutes=15))
    assert gzip.decompress((root / f"app.log-{STAMP}.gz").read_bytes()) == b"x" * 100


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_a_copy_that_a_killed_run_left_beside_its_original_is_taken_if_it_is_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    suffix = compression.SUFFIX[method]
    for name in ("a.log", "b.log"):
        (root / name).write_bytes(name.encode() * 50)
    turn(root, compress=method)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            turn(root, LATER, compress=method)
    (root / f"b.log-{STAMP}{suffix}").write_bytes(b"somebody's")
    with pytest.raises(CleanupFailedError, match=rf"b.log-{STAMP}{suffix} is there already"):
        turn(root, LATER, compress=method)
    left = sorted(path.name for path in root.iterdir() if path.stat().st_size)
    names = [f"a.log-{STAMP}{suffix}", f"b.log-{STAMP}", f"b.log-{STAMP}{suffix}"]
    assert left == names
    packed = (root / names[0]).read_bytes()
    whole = zstandard.ZstdDecompressor().decompressobj().decompress
    assert (gzip.decompress if method == "gzip" else whole)(packed) == b"a.log" * 50


def test_what_is_written_to_while_it_is_compressed_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "app.log").write_bytes(b"x" * 100)
    turn(root)
    real = compression._packed

    def written_to(directory: int, *rest: Any) -> int:
        size = real(directory, *rest)
        with (root / f"app.log-{STAMP}").open("ab") as file:  # whom /proc does not show us
            file.write(b"late")
        return size

    monkeypatch.setattr(compression, "_packed", written_to)
    with pytest.raises(CleanupFailedError, match="was written to while it was compressed"):
        turn(root, LATER)
    assert (root / f"app.log-{STAMP}").read_bytes().endswith(b"late")
    assert not (root / f"app.log-{STAMP}.gz").exists()


def test_a_name_with_a_lines_end_is_put_aside_once_and_compressed(root: Path) -> None:
    odd = "two\nlines 😀.log"
    for path in (root / odd, root / f"{odd}-20250101T000000Z"):
        path.write_bytes(b"x" * 100)
    done = turn(root, path=f"{root}/*")
    assert (done["files"], done["compressed"]) == (1, 1)
    turn(root, LATER, path=f"{root}/*")
    names = {odd, f"{odd}-20250101T000000Z.gz", f"{odd}-{STAMP}.gz"}
    assert {path.name for path in root.iterdir()} == names


def test_a_directory_is_read_once_however_many_files_are_put_aside(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[int] = []

    class Counted(beside_module.Beside):
        def __init__(self, directory: int) -> None:
            listed.append(directory)
            super().__init__(directory)

    monkeypatch.setattr(rotation_module, "Beside", Counted)
    for n in range(300):
        (root / f"{n}.log").write_bytes(b"x" * 100)
    done = turn(root, max_bytes=None, max_age=timedelta(days=1), method="copy", compress="none")
    assert (done["files"], len(done["rotated"]), len(listed)) == (300, 200, 1)


def test_two_machines_with_files_of_one_name_share_an_archive(tmp_path: Path) -> None:
    archive, faults = tmp_path / "kept", []
    roots = [tmp_path / "one" / "logs", tmp_path / "other" / "logs"]
    for number, place in enumerate(roots):
        for n in range(150):
            write(place / f"app-{n}.log", f"{number}: {n}\n".encode() * 50)

    def work(place: Path) -> None:
        try:
            sweep(place, archive, path=f"{place}/*")
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [list(place.iterdir()) for place in roots] == [[], []]
    contents = sorted(
        gzip.decompress(one.file(archive).read_bytes()) for one in manifest.read(archive).kept
    )
    known = [f"{number}: {n}\n".encode() * 50 for number in (0, 1) for n in range(150)]
    assert contents == sorted(known)


def test_who_holds_an_archive_is_waited_for_and_not_for_ever(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "kept"
    archive.mkdir()
    write(root / "a.log", b"x")
    asked = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda _: asked.set())
    with alone(archive, lambda: None):
        thread = threading.Thread(target=sweep, args=(root, archive))
        thread.start()
        wait_until(asked.is_set, "the sweep to ask for the archive")
        assert (root / "a.log").exists()
    thread.join()
    assert kept(archive) == {"a.log": b"x"}
    write(root / "b.log", b"y")
    monkeypatch.setattr(alone_module, "LONGEST", 0.0)
    with (
        alone(archive, lambda: None),
        pytest.raises(CleanupFailedError, match="another run has been putting copies"),
    ):
        sweep(root, archive)
    assert (root / "b.log").exists()


@pytest.mark.parametrize("name", ["n" * 251 + ".log", "ñ" * 127, "a\n😀 \udcff.log"])
def test_a_file_of_any_name_is_archived_and_put_back(root: Path, tmp_path: Path, name: str) -> None:
    write(root / name, b"evidence")
    write(root / f"{name[:-1]}x", b"other")  # the beginnings of both are the same
    archive, back = tmp_path / "kept", tmp_path / "back"
    assert sweep(root, archive)["deleted"] == 2
    assert sorted(kept(archive).values()) == [b"evidence", b"other"]
    ended = CliRunner().invoke(cleanup, ["restore", str(archive), "*", "--to", str(back)])
    assert ended.exit_code == 0, ended.output
    assert sorted(path.read_bytes() for path in back.iterdir()) == [b"evidence", b"other"]


def test_a_full_disk_leaves_what_does_not_fit_and_no_half_of_it(root: Path, tmp_path: Path) -> None:
    large, archive = os.urandom(200_000), tmp_path / "kept"
    write(root / "large.log", large)
    write(root / "small.log", b"small")
    with files_of(50_000), pytest.raises(CleanupFailedError, match="File too large"):
        sweep(root, archive)
    assert kept(archive) == {"small.log": b"small"}
    with files_of(50_000), pytest.raises(CleanupFailedError, match="File too large"):
        turn(root, method="copy")
    turn(root, compress="none")
    with files_of(50_000), pytest.raises(CleanupFailedError, match="File too large"):
        turn(root, LATER)
    assert not any(path.name.endswith(".part") for path in tmp_path.rglob("*"))
    assert (root / f"large.log-{STAMP}").read_bytes() == large


async def test_rows_that_do_not_fit_on_the_disk_leave_whole_batches(tmp_path: Path) -> None:
    vault = vault_module.Vault(tmp_path, '"notice"', [("id", "bigint"), ("text", "text")], NOW)
    await vault.keep([("1", "fits")])
    await vault.settle()
    with files_of(20_000), pytest.raises(vault_module.VaultError, match="so they stay"):
        await vault.keep([("2", os.urandom(40_000).hex())])
    await vault.keep([("3", "fits")])
    await vault.settle()
    name = await vault.close()
    assert name is not None
    text = gzip.decompress((tmp_path / name).read_bytes()).decode()
    assert text.splitlines() == ['"id","text"', '"1","fits"', '"3","fits"']
    assert [one.rows for one in manifest.read(tmp_path).kept] == [2]


async def test_rows_that_another_run_is_keeping_are_not_taken_for_left_ones(
    tmp_path: Path,
) -> None:
    one, other = (
        vault_module.Vault(tmp_path, '"notice"', [("id", "bigint")], at) for at in (NOW, LATER)
    )
    await one.keep([("1",)])
    assert await other.recover() == []
    await one.keep([("2",)])
    assert await one.close() is not None
    assert [found.rows for found in manifest.read(tmp_path).kept] == [2]


def test_a_directory_that_cannot_be_read_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "secret").mkdir()
    write(root / "a.log", b"x")
    real = os.scandir

    def refused(directory: Any = ".") -> Any:
        if (
            isinstance(directory, int)
            and os.fstat(directory).st_ino == (root / "secret").stat().st_ino
        ):
            raise PermissionError(13, "Permission denied")
        return real(directory)

    monkeypatch.setattr(os, "scandir", refused)
    (rule,) = sweep(root)["rules"]
    assert rule["kept"] == {"unreadable_directory": 1}
    assert rule["note"] == "1 directories cannot be read, first secret"
    with pytest.raises(CleanupFailedError, match="1 directories cannot be read, first secret"):
        sweep(root, path=f"{root}/secret/*.log")


def test_a_tree_that_is_deeper_than_a_stack_is_swept(root: Path) -> None:
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    file = os.open("old.log", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor)
    os.utime(file, (1e9, 1e9))
    os.close(file)
    try:
        assert sweep(root, path=f"{root}/**/**/*.log")["deleted"] == 1
        assert os.listdir(descriptor) == []
    finally:
        os.close(descriptor)
        subprocess.run(["rm", "-rf", str(root / "d")], check=True)  # Python's cannot


def test_verify_by_hand_writes_nothing(root: Path, tmp_path: Path) -> None:
    archive = tmp_path / "kept"
    write(root / "a.log", b"x")
    sweep(root, archive)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in archive.iterdir())
    ended = CliRunner().invoke(cleanup, ["verify", str(archive)])
    assert ended.output.startswith("1 copies are what they were")
    assert sorted((path.name, path.stat().st_mtime_ns) for path in archive.iterdir()) == before


def test_a_copy_that_was_deleted_by_a_killed_run_is_no_loss(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "kept"
    write(root / "a.log", b"x")
    sweep(root, archive)
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            verified(root, archive)
    assert verified(root, archive)["deleted"] == 1
    assert manifest.read(archive).kept == ()


@pytest.mark.parametrize("way", ["../precious", "absolute", "link"])
def test_a_manifest_of_somebodys_reaches_no_file_of_others(
    root: Path, tmp_path: Path, way: str
) -> None:
    archive, precious = tmp_path / "kept", tmp_path / "precious"
    write(root / "a.log", b"x")
    sweep(root, archive)
    precious.write_bytes(gzip.compress(b"x"))
    (archive / "link").symlink_to(tmp_path)
    copy = {"absolute": str(precious), "link": "link/precious"}.get(way, way)
    (one,) = manifest.read(archive).kept
    line = {"copy": copy, "sha256": one.sha256, "archived_at": "2020-01-01T00:00:00Z"}
    manifest.append(archive, line)
    if way == "link":
        with pytest.raises(CleanupFailedError, match=r"1 broken \(link/precious\)"):
            verified(root, archive)
    else:
        assert verified(root, archive)["torn_lines"] == 1
    assert precious.exists()
