"""Finds every command that docs, rules, banners, templates and errors tell people to type."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_PLACES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "conf/**/*", "kernel/sereno/**/*",
           "plugins/*/sereno_*/**/*")  # fmt: skip
_SUFFIXES = {".md", ".py", ".txt", ".toml", ".yml", ".json", ".html", ".service", ".sql"}

_SPAN = re.compile(r"`(?:\$ )?(?:\.venv/bin/)?sereno\s([^`]+)`")
_AFTER_A_COLON = re.compile(r": sereno ([a-z][^\"`\n]*)")
_LINE = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?sereno (.+)$", re.MULTILINE)
_CONTINUED = re.compile(r"\n\s+(?=\[|--)")


class Told(NamedTuple):
    """A command as it stands somewhere: what follows ``sereno``."""

    place: str
    words: str


def told() -> Iterator[Told]:
    """Yield all, in the order of their files."""
    for pattern in _PLACES:
        for path in sorted(ROOT.glob(pattern)):
            if path.suffix in _SUFFIXES and path.is_file():
                place = str(path.relative_to(ROOT))
                for words in _commands(path):
                    if plain := _plain(words):
                        yield Told(place, plain)


def _commands(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    for match in _SPAN.finditer(text):
        yield match[1]
    for match in _AFTER_A_COLON.finditer(text):
        yield re.split(r", (?:or|and) |; |\.$", match[1])[0]
    if path.suffix in (".md", ".txt"):
        for match in _LINE.finditer(_CONTINUED.sub(" ", text)):
            yield match[1]


def _plain(words: str) -> str:
    """Return a command without comments, what it is piped into, and what may be left out."""
    words = " ".join(re.sub(r"\s#.*", "", words, flags=re.DOTALL).split())
    words = re.split(r" \| | && | >| &$", words)[0]
    while (shorter := re.sub(r"\[[^\[\]]*\](\.\.\.)?", "", words)) != words:
        words = shorter
    return words.strip()
