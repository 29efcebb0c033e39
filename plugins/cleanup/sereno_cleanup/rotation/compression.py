"""Compresses a file in place, so that a crash leaves it or its copy, and never less than one."""

import hashlib
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from sereno import lazy
from sereno_cleanup.packed import gzip

_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
SUFFIX = {"gzip": ".gz", "zstd": ".zst"}


class CompressionError(Exception):
    """The copy is not equal to its original, which stays."""


def compress(directory: int, name: str, method: str, check: Callable[[], None]) -> int:
    """Replace the file `name` in the open `directory` by its compressed copy; return bytes saved.

    The copy is written to ``*.part``, synced, read again and compared, and renamed; then the
    original goes. `check` is called between chunks and may raise.
    """
    target = name + SUFFIX[method]
    if os.access(target, os.F_OK, dir_fd=directory, follow_symlinks=False):
        raise CompressionError(f"{target} is there already, so {name} stays as it is")
    part = target + ".part"
    with open(os.open(name, _READ, dir_fd=directory), "rb") as source:
        found = os.fstat(source.fileno())
        digest = hashlib.sha256()
        try:
            mode = found.st_mode & 0o777
            with open(os.open(part, _CREATE, mode, dir_fd=directory), "wb") as file:
                with _writer(file, method) as packed:
                    while chunk := source.read(_CHUNK):
                        check()
                        digest.update(chunk)
                        packed.write(chunk)
                file.flush()
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
                os.fsync(file.fileno())
            if _content(directory, part, method, check) != digest.hexdigest():
                raise CompressionError(f"the copy of {name} is not equal to it, so it stays")
            os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=directory)
            size = os.stat(part, dir_fd=directory).st_size
            os.rename(part, target, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            _forget(directory, part)
            raise
    os.fsync(directory)
    os.unlink(name, dir_fd=directory)
    return found.st_size - size


def _content(directory: int, name: str, method: str, check: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with (
        open(os.open(name, _READ, dir_fd=directory), "rb") as file,
        _reader(file, method) as content,
    ):
        while chunk := content.read(_CHUNK):
            check()
            digest.update(chunk)
    return digest.hexdigest()


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
