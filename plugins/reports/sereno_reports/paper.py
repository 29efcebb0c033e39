"""Writes a report as PDF, for paper: the page as it prints."""

import re
from typing import Any

from sereno import lazy

MISSING = (
    "a PDF needs WeasyPrint, and Pango of the system: pip install 'sereno-reports[pdf]'; "
    "the HTML prints the same from a browser"
)


_BROWSER = re.compile(r'<style class="browser">.*?</style>', re.DOTALL)


class PaperError(Exception):
    """This machine cannot make a PDF."""


def to_pdf(html: str) -> bytes:
    """Return `html` on sheets of A4; equal pages are equal bytes. Raises PaperError."""
    try:
        weasyprint: Any = lazy("weasyprint")  # 40 MB that only the first PDF loads
    except (ImportError, OSError) as error:
        raise PaperError(f"{MISSING} ({error})") from error
    # What browsers alone understand would be warned of.
    paper = _BROWSER.sub("", html, count=1)
    document: bytes = weasyprint.HTML(string=paper, url_fetcher=_nothing).write_pdf()
    return document


def _nothing(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError(f"a report fetches nothing, and {url} was asked for")
