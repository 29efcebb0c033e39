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
from sereno_cleanup.archives.apart import kept_apart
from sereno_cleanup.fault import STOPPED, sentence
from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.opened import opened_files
from sereno_cleanup.logfiles.root import Root, open_root
from sereno_cleanup.logfiles.scan import scan
from sereno_cleanup.names import readable
from sereno_cleanup.rotation.beside import Beside, half_name
from sereno_cleanup.rotation.compression import compress
from sereno_cleanup.rotation.rotated import aside_of, is_rotated, rotated_name
from sereno_cleanup.settings import RotationRule, Settings

SHOWN = 200
_COMMAND_SECONDS = 30
_MOST_PID = 1 << 31
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Rotated(msgspec.Struct, omit_defaults=True):
    """What became of one rule's files. `rotated`: the first SHOWN of `files`. `lost_bytes`: seen to
    come between a copy and the cut."""

    path: str
    rotated: list[str] = []
    files: int = 0
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
                found = scan(root, pattern, kept_apart(self.settings), self.run.check)
                live = [e for e in found if e.kind == "file" and not is_rotated(e.name)]
                just = self._put_aside(rule, root, live, done)
                asides = self._asides(root, pattern)
                if rule.method == "rename":
                    # A program that was not told, or has not heard, still writes to what was put
                    # aside before, and what it writes would never be put aside again.
                    written = opened_files(for_writing=True) if asides else frozenset()
                    deaf = [one for one in asides if one.identity in written]
                    self._each(done, None, lambda: self._begin_anew(root, live, deaf))
                    if just or deaf:
                        self._each(done, None, lambda: _reopen(rule))
                    asides = [one for one in asides if one.parts not in just]
                if rule.compress != "none":
                    self._compress(rule, root, asides, done)
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

    def _put_aside(
        self, rule: RotationRule, root: Root, live: list[LogFile], done: Rotated
    ) -> set[tuple[str, ...]]:
        """Put aside what is due of `live`; return what it is called now."""
        beside: dict[tuple[str, ...], Beside] = {}
        just: set[tuple[str, ...]] = set()
        for entry in live:

            def rotate(entry: LogFile = entry) -> None:
                target = self._rotate(rule, root, entry, beside, done)
                if target is not None:
                    just.add((*entry.parts[:-1], target))

            self._each(done, entry, rotate)
        return just

    def _rotate(
        self,
        rule: RotationRule,
        root: Root,
        entry: LogFile,
        beside: dict[tuple[str, ...], Beside],
        done: Rotated,
    ) -> str | None:
        if entry.size == 0 or not (self._is_large(rule, entry) or rule.max_age is not None):
            return None
        with root.directory(entry.parts[:-1]) as directory:
            if entry.parts[:-1] not in beside:
                beside[entry.parts[:-1]] = Beside(directory)
            others = beside[entry.parts[:-1]]
            now = self.run.now()
            if not (self._is_large(rule, entry) or _is_old(rule, others.last(entry.name), now)):
                return None
            if others.has(entry.name, now.replace(microsecond=0)):
                return None  # it was put aside within this very second
            target = rotated_name(entry.name, now)
            if rule.method == "rename":
                _rename(directory, entry.name, target)
            else:
                others.forget_halves(directory, entry.name)
                done.lost_bytes += _copy_and_cut(directory, entry.name, target, self.run.check)
        done.files += 1
        if done.files <= SHOWN:
            done.rotated.append(readable(target))
        self.run.log.info("log file rotated", extra={"file": entry.path, "size": entry.size})
        return target

    def _is_large(self, rule: RotationRule, entry: LogFile) -> bool:
        return rule.max_bytes is not None and entry.size >= rule.max_bytes

    def _asides(self, root: Root, pattern: tuple[str, ...]) -> list[LogFile]:
        """Return what was put aside of files that match `pattern` and is not compressed.

        The file itself need not be there: who is killed between the two steps of a rename leaves
        what was put aside alone.
        """
        last = pattern[-1]
        glob = pattern if last == "**" else (*pattern[:-1], f"{last}-*Z")
        found = []
        for entry in scan(root, glob, kept_apart(self.settings), self.run.check):
            aside = aside_of(entry.name)
            if aside is not None and not aside.is_packed and entry.kind == "file":
                found.append(entry)
        return found

    def _begin_anew(self, root: Root, live: list[LogFile], asides: list[LogFile]) -> None:
        """Make files anew that a killed run has put aside and not come to.

        `asides`: those that a program still writes to.
        """
        there = {entry.parts for entry in live}
        for entry in asides:
            aside = aside_of(entry.name)
            if aside is None or (*entry.parts[:-1], aside.name) in there:
                continue
            with root.directory(entry.parts[:-1]) as directory:
                status = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
                _begin(directory, aside.name, status)

    def _compress(
        self, rule: RotationRule, root: Root, asides: list[LogFile], done: Rotated
    ) -> None:
        """Compress what was put aside and is held open by nobody."""
        opened = opened_files() if asides else frozenset()
        for entry in asides:
            if entry.links != 1 or entry.identity in opened:
                continue

            def pack(entry: LogFile = entry) -> None:
                with root.directory(entry.parts[:-1]) as directory:
                    saved = compress(directory, entry.name, rule.compress, self.run.check)
                done.saved_bytes += saved
                done.compressed += 1

            self._each(done, entry, pack)


def _is_old(rule: RotationRule, last: datetime | None, now: datetime) -> bool:
    # Without one before it, how old the file is cannot be known: it begins to count now.
    return rule.max_age is not None and (last is None or now - last >= rule.max_age)


def _rename(directory: int, name: str, target: str) -> None:
    """Put the file aside, and an empty one with its rights in its place."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    os.rename(name, target, src_dir_fd=directory, dst_dir_fd=directory)
    _begin(directory, name, found)


def _begin(directory: int, name: str, before: os.stat_result) -> bool:
    """Make an empty file with the rights of the one before; False where one is there."""
    try:
        new = os.open(name, _CREATE, before.st_mode & 0o777, dir_fd=directory)
    except FileExistsError:
        return False  # the program was faster
    try:
        os.fchmod(new, before.st_mode & 0o777)
        os.fchown(new, before.st_uid, before.st_gid)
    except PermissionError:
        pass  # not root's: it is ours, as the old one was not
    finally:
        os.close(new)
    return True


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
        part = half_name(target)
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


def _reopen(rule: RotationRule) -> None:
    if rule.reopen_pid_file is not None:
        os.kill(_pid(rule.reopen_pid_file), getattr(signal, f"SIG{rule.reopen_signal}"))
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


def _pid(path: str) -> int:
    """Read the number of one process; 0 and less would name many, and 1 is the system's."""
    text = Path(path).read_bytes()[:40].decode("ascii", "replace").strip()
    first = text.split()[0] if text else ""
    if not (first.isdecimal() and 1 < int(first) < _MOST_PID) or int(first) == os.getpid():
        raise OSError(0, f"reopen_pid_file {path} has '{first}', which is no number of a program")
    return int(first)
