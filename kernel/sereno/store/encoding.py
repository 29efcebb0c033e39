"""Writes what a database's encoding has no letter for as ``\\u20ac``, so that nothing is lost.

A database in UTF-8 keeps every letter, and pays nothing. In one of LATIN1 the server refuses the
whole statement for one letter, be it a word of a job's result or of one job's description among
those of all plugins.

One in SQL_ASCII keeps bytes as they come, and refuses to hand out those that are no letters of who
asks, with the whole answer. So it is asked in its own encoding, and such a byte is read as U+FFFD,
in JSON too.
"""

import codecs
from typing import Any

import asyncpg
import msgspec

_PYTHONS = {
    "UTF8": "utf-8",
    "SQL_ASCII": "utf-8",  # it takes bytes as they come
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "WIN866": "cp866",
    "WIN874": "cp874",
    "EUC_JP": "euc_jp",
    "EUC_KR": "euc_kr",
    "EUC_CN": "gb2312",
    **{f"WIN{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"ISO_8859_{part}": f"iso8859-{part}" for part in range(5, 9)},
    **{
        f"LATIN{n}": f"iso8859-{part}"
        for n, part in enumerate((1, 2, 3, 4, 9, 10, 13, 14, 15, 16), 1)
    },
}
"""Python's names of PostgreSQL's encodings; of one that is not here, ASCII alone is sure."""


_BYTES = "SQL_ASCII"


class Encoding(msgspec.Struct, frozen=True):
    """A database's encoding. `name`: PostgreSQL's."""

    name: str

    @property
    def whole(self) -> bool:
        """Tell whether it keeps every letter."""
        return self._python == "utf-8"

    @property
    def settings(self) -> dict[str, str]:
        """Return what a session names so that the server hands out all that is in the database."""
        return {"client_encoding": self.name} if self.name == _BYTES else {}

    @property
    def utf8(self) -> bool:
        """Tell whether it keeps every letter, and nothing else."""
        return self.name.upper() == "UTF8"

    @property
    def remedy(self) -> str:
        """Say what becomes of letters that it lacks, and what would keep them."""
        if self.name == _BYTES:
            return (
                f"the database's encoding is {_BYTES}, which keeps bytes as they come: one that is "
                "no UTF-8 is read as U+FFFD; a database in UTF8 refuses it"
            )
        return (
            f"the database's encoding is {self.name}, which has not every letter: one that it "
            "lacks is kept as \\u20ac; a database in UTF8 keeps it as it is"
        )

    @property
    def _python(self) -> str:
        return _PYTHONS.get(self.name.upper(), "ascii")

    def fitted(self, value: Any) -> Any:
        """Return an argument of a statement, a text or a list of them, as it can be kept."""
        if isinstance(value, str):
            return value.encode(self._python, "backslashreplace").decode(self._python)
        if isinstance(value, list | tuple):
            return [self.fitted(item) for item in value]
        return value

    def fitted_json(self, text: bytes) -> bytes:
        """Return JSON whose letters can be kept; JSON's own escapes stand for letters too."""
        if b"\\u" in text:
            text = msgspec.json.encode(msgspec.json.decode(text))
        return text.decode().encode(self._python, _IN_JSON).decode(self._python).encode()


_IN_JSON = "sereno_in_json"


def _written_in_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    plain = letters.encode("ascii", "backslashreplace").decode()
    return plain.replace("\\", "\\\\"), error.end


codecs.register_error(_IN_JSON, _written_in_json)


def of_the_driver() -> None:
    """Have the driver read SQL_ASCII as bytes that are UTF-8 or anything: to it they were ASCII."""
    asyncpg.protocol.protocol.ENCODINGS_MAP[_BYTES.lower()] = _IN_BYTES


_IN_BYTES = "sereno_bytes"


def _any_bytes(name: str) -> codecs.CodecInfo | None:
    if name != _IN_BYTES:
        return None

    def decode(found: Any, errors: str = "strict") -> tuple[str, int]:
        return bytes(found).decode("utf-8", "replace"), len(found)

    return codecs.CodecInfo(codecs.utf_8_encode, decode, name=name)


codecs.register(_any_bytes)
