"""Finds every sentence that the pages can say, for who translates them, and for the test that none
is forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.extract import extract

_PAGES = Path(__file__).parents[1]
_KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2)}
_OPTIONS = {"extensions": "jinja2.ext.i18n", "trim_blocks": "true", "lstrip_blocks": "true"}


def sentences() -> Iterator[str | tuple[str, ...]]:
    """Yield each sentence once; one with a plural as (one, many)."""
    seen: set[str | tuple[str, ...]] = set()
    files = [(p, "jinja2") for p in sorted((_PAGES / "templates").glob("*.html"))]
    files += [(p, "python") for p in sorted(_PAGES.glob("*.py"))]
    for path, method in files:
        with path.open("rb") as source:
            for _, message, _, _ in extract(method, source, _KEYWORDS, (), _OPTIONS):
                if message not in seen:
                    seen.add(message)
                    yield message
