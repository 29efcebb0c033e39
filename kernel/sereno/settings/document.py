"""Reads a TOML file and finds the line of every key, which tomllib does not tell."""

import re
import tomllib
from pathlib import Path
from typing import Any

from sereno.model.errors import ConfigurationError
from sereno.settings.place import Key, SettingPlace, SettingPlaces

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r"""
    \"{3} (?: \\. | [^\\] )*? \"{3,5}
    | '{3} .*? '{3,5}
    | " (?: \\. | [^"\\\n] )* "
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")
_WHERE = re.compile(r" \(at line (\d+), column (\d+)\)$| \(at end of document\)$")


def read_document(file: Path) -> tuple[dict[str, Any], SettingPlaces]:
    """Return the tables of `file` and the line of each key.

    Raises ConfigurationError when it is missing, unreadable or no TOML.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{file}: it must be UTF-8, and byte {error.start} is not"
        ) from error
    text = text.replace("\r\n", "\n")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(_sentence(file, text, str(error))) from error
    scanner = _Scanner(text)
    scanner.document()
    return tables, SettingPlaces(
        {k: SettingPlace("file", f"{file}:{n}") for k, n in scanner.lines.items()}
    )


def _sentence(file: Path, text: str, message: str) -> str:
    where = _WHERE.search(message)
    line = where[1] if where and where[1] else str(text.count("\n") + 1)
    rule = _WHERE.sub("", message)
    return f"{file}:{line}: this is no TOML: {rule[:1].lower()}{rule[1:]}"


class _Scanner:
    """Walks a text that tomllib has accepted, so every shape it meets is a legal one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Key, int] = {}
        self._counts: dict[Key, int] = {}

    def document(self) -> None:
        table: Key = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Key:
        several = self.text.startswith("[[", self.at)
        line = self._line()
        self.at += 2 if several else 1
        *outer, last = self._key()
        key: Key = ()
        for part in outer:
            key = self._newest((*key, part))
        key = (*key, last)
        if several:
            self._counts[key] = self._counts.get(key, -1) + 1
        key = self._newest(key)
        for length in range(1, len(key)):
            self.lines.setdefault(key[:length], line)
        self.at = self.text.find("]", self.at) + (2 if several else 1)
        self.lines[key] = line
        return key

    def _newest(self, key: Key) -> Key:
        return (*key, self._counts[key]) if key in self._counts else key

    def _pair(self, table: Key) -> None:
        line = self._line()
        key = (*table, *self._key())
        self.at = self.text.index("=", self.at) + 1
        for length in range(len(table) + 1, len(key) + 1):
            self.lines.setdefault(key[:length], line)
        self._value(key)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_SPACE)
            if match := _BARE.match(self.text, self.at):
                parts.append(match[0])
            else:
                match = _STRING.match(self.text, self.at)
                if match is None:
                    return parts
                parts.append(next(iter(tomllib.loads(f"{match[0]}=0"))))
            self.at = match.end()
            if self.text[self._skip(_SPACE)] != ".":
                return parts
            self.at += 1

    def _value(self, key: Key) -> None:
        self._skip(_SPACE)
        if match := _STRING.match(self.text, self.at):
            self.at = match.end()
        elif self.text[self.at] in "[{":
            self._nested(key, "]" if self.text[self.at] == "[" else "}")
        elif match := _SCALAR.match(self.text, self.at):
            self.at = match.end()

    def _nested(self, key: Key, close: str) -> None:
        self.at += 1
        index = 0
        while self.text[self._skip(_BLANK)] != close:
            if self.text[self.at] == ",":
                self.at += 1
            elif close == "}":
                self._pair(key)
            else:
                self.lines[(*key, index)] = self._line()
                self._value((*key, index))
                index += 1
        self.at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1
