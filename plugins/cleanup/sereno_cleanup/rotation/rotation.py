"""Carries out one rule: find, put aside, tell the program, compress what was put aside before."""

import contextlib
import os
import signal
import stat
import subprocess
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import msgspec

from sereno import RunContext
from sereno_cleanup.fault import STOPPED, sentence
from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.opened import opened_files
from sereno_cleanup.logfiles.root import Root, open_root
from sereno_cleanup.logfiles.scan import scan
from sereno_cleanup.names import readable
from sereno_cleanup.rotation.compression import compress
from sereno_cleanup.rotation.rotated import is_packed, is_rotated, rotated_at, rotated_name
from sereno_cleanup.settings import RotationRule, Settings

_COMMAND_SECONDS = 30
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Rotated(msgspec.Struct, omit_defaults=True):
    """What became of one rule's files. `lost_bytes`: seen to come between a copy and the cut."""

    path: str
    rotated: list[str] = []
    compressed: int = 0
    saved_bytes: int = 0
    lost_bytes: int = 0
    failures: list[str] = []


class Rotation(msgspec.Struct, frozen=True):
    """One run's work."""

    run: RunContext[Any]
    settings: Settings

    def rule(self, rule: RotationRule) -> Rotated:
        """Carry out `rule`; what goes wrong is told in the result: the next has its turn."""
        done = Rotated(path=rule.path)
        root_path = self.settings.root_around(rule.path)
        try:
            with open_root(root_path) as root:
                pattern = PurePosixPath(rule.path).relative_to(root_path).parts
                found = scan(root, pattern, frozenset(), self.run.check)
                live = [e for e in found if e.kind == "file" and not is_rotated(e.name)]
                for entry in live:
                    self._each(done, entry, lambda e=entry: self._rotate(rule, root, e, done))
                if done.rotated and rule.method == "rename":
                    self._each(done, None, lambda: _reopen(rule))
                if rule.compress != "none":
                    self._compress(rule, root, live, done)
        except FileNotFoundError:
            return done  # nothing is logged there yet
        except STOPPED:
            raise
        except Exception as error:
            done.failures.append(f"{rule.path}: {sentence(error)}")
        return done

    def _each(self, done: Rotated, entry: LogFile | None, act: Any) -> None:
        try:
            act()
        except STOPPED:
            raise
        except Exception as error:  # a file's fault is its own
            subject = entry.path if entry is not None else done.path
            done.failures.append(f"{subject}: {sentence(error)}")

    def _rotate(self, rule: RotationRule, root: Root, entry: LogFile, done: Rotated) -> None:
        with root.directory(entry.parts[:-1]) as directory:
            now = self.run.now()
            at = now.replace(microsecond=0)
            if entry.size == 0 or not self._is_due(rule, directory, entry, now):
                return
            target = rotated_name(entry.name, now)
            if any(rotated_at(name, entry.name) == at for name in os.listdir(directory)):
                return  # it was put aside within this very second
            if rule.method == "rename":
                _rename(directory, entry.name, target)
            else:
                done.lost_bytes += _copy_and_cut(directory, entry.name, target, self.run.check)
            done.rotated.append(readable(target))
            self.run.log.info("log file rotated", extra={"file": entry.path, "size": entry.size})

    def _is_due(self, rule: RotationRule, directory: int, entry: LogFile, now: datetime) -> bool:
        if rule.max_bytes is not None and entry.size >= rule.max_bytes:
            return True
        if rule.max_age is None:
            return False
        before = [at for name in os.listdir(directory) if (at := rotated_at(name, entry.name))]
        # Without one before it, how old the file is cannot be known: it begins to count now.
        return not before or now - max(before) >= rule.max_age

    def _compress(self, rule: RotationRule, root: Root, live: list[LogFile], done: Rotated) -> None:
        """Compress what was put aside and is held open by nobody, beside the `live` files."""
        opened = opened_files()
        just = set(done.rotated) if rule.method == "rename" else set()
        for where, names in _grouped(live).items():
            with root.directory(where) as directory:
                for found in sorted(os.listdir(directory)):
                    aside = any(rotated_at(found, name) for name in names)
                    if not aside or is_packed(found) or readable(found) in just:
                        continue
                    status = os.stat(found, dir_fd=directory, follow_symlinks=False)
                    entry = LogFile.of((*where, found), status)
                    if entry.kind != "file" or entry.links != 1 or entry.identity in opened:
                        continue

                    def pack(directory: int = directory, found: str = found) -> None:
                        done.saved_bytes += compress(
                            directory, found, rule.compress, self.run.check
                        )
                        done.compressed += 1

                    self._each(done, entry, pack)


def _grouped(live: list[LogFile]) -> dict[tuple[str, ...], set[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    for entry in live:
        found.setdefault(entry.parts[:-1], set()).add(entry.name)
    return found


def _rename(directory: int, name: str, target: str) -> None:
    """Put the file aside, and an empty one with its rights in its place."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    os.rename(name, target, src_dir_fd=directory, dst_dir_fd=directory)
    try:
        new = os.open(name, _CREATE, found.st_mode & 0o777, dir_fd=directory)
    except FileExistsError:
        return  # the program was faster
    try:
        os.fchmod(new, found.st_mode & 0o777)
        os.fchown(new, found.st_uid, found.st_gid)
    except PermissionError:
        pass  # not root's: it is ours, as the old one was not
    finally:
        os.close(new)


def _copy_and_cut(directory: int, name: str, target: str, check: Any) -> int:
    """Copy the file aside and cut it; return the bytes that came in between and are lost.

    The copy has its name once it is whole and on the disk, before the cut: who is killed between
    the two leaves every line, some of them twice.
    """
    with open(os.open(name, _WRITE, dir_fd=directory), "r+b") as source:
        found = os.fstat(source.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            # Cut, it would be empty under its other name, too, which may be nobody's log.
            raise OSError(0, "it has a second name, or is no file, and is not cut")
        part = _part(target)
        _forget_parts(directory, name)
        try:
            copy = os.open(part, _CREATE, found.st_mode & 0o777, dir_fd=directory)
            with open(copy, "wb") as aside:
                copied = _copied(source, aside, check)
                os.fsync(aside.fileno())
                copied += _copied(source, aside, check)  # what came while the disk was waited for
                os.fsync(aside.fileno())
            os.rename(part, target, src_dir_fd=directory, dst_dir_fd=directory)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=directory)
        os.fsync(directory)
        lost = os.fstat(source.fileno()).st_size - copied
        source.truncate(0)
    return max(0, lost)


def _copied(source: BinaryIO, target: BinaryIO, check: Any) -> int:
    count = 0
    while chunk := source.read(1 << 20):
        check()
        target.write(chunk)
        count += len(chunk)
    target.flush()
    return count


def _part(target: str) -> str:
    """Return what a copy is called until it is whole: hidden, so that no glob finds it."""
    return f".{target}.part"


def _forget_parts(directory: int, name: str) -> None:
    """Delete what a killed run has left of copies of `name`: each may be as large as a log."""
    for found in os.listdir(directory):
        if found.startswith(".") and found.endswith(".part") and rotated_at(found[1:-5], name):
            os.unlink(found, dir_fd=directory)


def _reopen(rule: RotationRule) -> None:
    if rule.reopen_pid_file is not None:
        pid = int(Path(rule.reopen_pid_file).read_text(encoding="utf-8").split()[0])
        os.kill(pid, getattr(signal, f"SIG{rule.reopen_signal}"))
    if rule.reopen_command:
        done = subprocess.run(  # noqa: S603 - the operator's own, without a shell
            rule.reopen_command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout)[:200].decode("utf-8", "replace").strip()
            raise OSError(
                0, f"reopen_command ended with {done.returncode}{': ' + said if said else ''}"
            )
