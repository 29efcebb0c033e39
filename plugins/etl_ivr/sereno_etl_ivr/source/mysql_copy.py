"""Makes COPY text of a page that MariaDB or MySQL joined into one value: pure.

A row is known by the hash of its line as COPY reads it. A row that is read cell by cell gets the
same line, and so the same hash; what a joined page cannot hold is escaped there.
"""

from collections.abc import Sequence
from hashlib import md5

from sereno_etl_ivr.page import DELIMITER, Cell

POSITION = slice(14)
"""Where a line has its position."""

NULL = b"\x1a"
"""What stands for a NULL."""

_DELIMITER = DELIMITER.encode()
_SEPARATOR = b"\x1e"
_ESCAPES = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"))
_UNJOINED = ((_DELIMITER, b"\\x1f"), (_SEPARATOR, b"\\x1e"))


def lines(page: bytes) -> list[bytes]:
    """Return the lines of a joined page: each a row's position and cells, escaped."""
    for plain, coded in _ESCAPES:
        page = page.replace(plain, coded)
    return page.split(_SEPARATOR)


def text(some: Sequence[bytes]) -> tuple[bytes, set[bytes]]:
    """Return lines as COPY text, each behind its hash, and the hashes.

    A line begins with the position, whose digits are repeated at its end as a time.
    """
    hashes = [content(line).encode() for line in some]
    copy = b"".join(
        [
            b"%b\x1f%b\x1f%bT%b\n" % (one, line, line[:8], line[8:14])
            for one, line in zip(hashes, some, strict=True)
        ]
    )
    return copy, set(hashes)


def content(line: bytes) -> str:
    """Return the hash of a row's line."""
    return md5(line, usedforsecurity=False).hexdigest()


def row_line(position: int, cells: Sequence[Cell]) -> bytes:
    """Return the line of a row that was read cell by cell."""
    return _DELIMITER.join([str(position).encode(), *map(_written, cells)])


def _written(cell: Cell) -> bytes:
    if cell is None:
        return NULL
    if cell == NULL:
        return b"\\x1a"
    for plain, coded in (*_ESCAPES, *_UNJOINED):
        cell = cell.replace(plain, coded)
    return cell
