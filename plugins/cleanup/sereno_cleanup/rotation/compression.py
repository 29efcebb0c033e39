"""Compresses a file in place, so that a crash leaves it or its copy, and never less than one."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from sereno import lazy
from sereno_cleanup.packed import gzip, unreadable

_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
SUFFIX = {"gzip": ".gz", "zstd": ".zst"}


class CompressionError(Exception):
    """The copy is not equal to its original, which stays."""


def compress(directory: int, name: str, method: str, check: Callable[[], None]) -> int:
    """Replace the file `name` in the open `directory` by its compressed copy; return bytes saved.

    The copy is written to ``*.part``, synced, read again and compared, and renamed; then the
    original goes, unless somebody has written to it meanwhile. A copy that a killed run has left
    beside its original is compared, and not made again. `check` is called between chunks and may
    raise.
    """
    target = name + SUFFIX[method]
    with open(os.open(name, _READ, dir_fd=directory), "rb") as source:
        found = os.fstat(source.fileno())
        if os.access(target, os.F_OK, dir_fd=directory, follow_symlinks=False):
            size = _left(directory, source, target, method, check)
        else:
            size = _packed(directory, source, target, method, check)
        os.fsync(directory)
        now = os.fstat(source.fileno())
    if (now.st_size, now.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
        os.unlink(target, dir_fd=directory)
        raise CompressionError(f"{name} was written to while it was compressed, so it stays")
    os.unlink(name, dir_fd=directory)
    return found.st_size - size


def _left(
    directory: int, source: BinaryIO, target: str, method: str, check: Callable[[], None]
) -> int:
    """Return the size of the copy that is there, if it is one of `source`."""
    if _content(directory, target, method, check) != _digest(source, check):
        raise CompressionError(
            f"{target} is there already and is no copy of {target.removesuffix(SUFFIX[method])}, "
            "so both stay; move one of them away"
        )
    return os.stat(target, dir_fd=directory, follow_symlinks=False).st_size


def _packed(
    directory: int, source: BinaryIO, target: str, method: str, check: Callable[[], None]
) -> int:
    """Write a copy of `source` and return its size."""
    part, found = f"{target}.part", os.fstat(source.fileno())
    digest = hashlib.sha256()
    try:
        made = os.open(part, _CREATE, found.st_mode & 0o777, dir_fd=directory)
        with open(made, "wb") as file:
            with _writer(file, method) as packed:
                while chunk := source.read(_CHUNK):
                    check()
                    digest.update(chunk)
                    packed.write(chunk)
            file.flush()
            with contextlib.suppress(PermissionError):  # not root's: it is ours
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
            os.fsync(file.fileno())
        if _content(directory, part, method, check) != digest.hexdigest():
            raise CompressionError(f"{part} is not equal to its original, which stays")
        os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=directory)
        size = os.stat(part, dir_fd=directory).st_size
        os.rename(part, target, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        _forget(directory, part)
        raise
    return size


def _content(directory: int, name: str, method: str, check: Callable[[], None]) -> str:
    """Return the digest of what was packed; "broken" where that cannot be told."""
    try:
        with (
            open(os.open(name, _READ, dir_fd=directory), "rb") as file,
            _reader(file, method) as content,
        ):
            return _digest(content, check)
    except _unreadable(method):
        return "broken"


def _digest(file: Any, check: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        check()
        digest.update(chunk)
    return digest.hexdigest()


def _unreadable(method: str) -> tuple[type[Exception], ...]:
    return unreadable() if method == "gzip" else (zstandard().ZstdError,)


def _writer(file: BinaryIO, method: str) -> Any:
    if method == "gzip":
        return gzip().GzipFile(filename="", fileobj=file, mode="wb", mtime=0)
    return zstandard().ZstdCompressor().stream_writer(file, closefd=False)


def _reader(file: BinaryIO, method: str) -> Any:
    if method == "gzip":
        return gzip().GzipFile(fileobj=file)
    return zstandard().ZstdDecompressor().stream_reader(file, closefd=False)


def zstandard() -> Any:
    """Return the module, which the extra ``sereno-cleanup[zstd]`` brings; raises ImportError."""
    return lazy("zstandard")


def _forget(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
