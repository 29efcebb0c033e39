"""What becomes of a text of any size and shape: it is cut to its limit, and made visible."""

import re

_LONG_WORD = 1_000
"""A word of more characters is no word that would be missed whole."""

_SPACE = re.compile(r"\s")

# Left alone: the joiners of Persian, of Indian scripts and of emoji, which are text.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\xad\u061c\u180e\u200b\u200e\u200f\u2060-\u206f\ufeff"  # no width, or a direction
    "\u2028-\u202e"  # line and paragraph separators, embeddings and overrides
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotations, tags
    "\ud800-\udfff"
)
_IN_LINES = re.compile(f"[{_UNSEEN}]")
_IN_ONE_LINE = re.compile(f"[{_UNSEEN}\t\n]")


def shortened(text: str, limit: int) -> str:
    """Return the first `limit` characters of `text`, and a note when there were more."""
    if len(text) <= limit:
        return text
    return f"{_begun(text, limit)} … ({len(text)} characters, cut)"


def cut(text: str, limit: int) -> str:
    """Return `text` without its middle when it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    middle = f"… ({len(text)} characters, cut) …"
    return f"{_begun(text, half)}\n{middle}\n{_ended(text, half)}".rstrip("\n")


def _begun(text: str, size: int) -> str:
    """Return the first `size` characters, without a word that they cut: half a URL hides its
    password from whoever looks for one."""
    if _SPACE.match(text, size):
        return text[:size]
    begin = text[:size]
    found = max(begin.rfind(" "), begin.rfind("\n"), begin.rfind("\t"))
    if size - found <= _LONG_WORD and found > size // 2:
        return begin[:found]
    scheme = begin.rfind("://", max(found, 0))
    return begin if scheme < 0 else begin[: scheme + 3]


def _ended(text: str, size: int) -> str:
    """Return the last `size` characters from a whole word on: half a secret has lost its name."""
    start = len(text) - size
    found = _SPACE.search(text, start - 1)
    return "" if found is None else text[found.end() :]


def visible(text: str) -> str:
    r"""Return `text` with what moves a cursor, clears a screen, turns the direction of writing or
    has no width written out, as ``\x1b`` and ``\u202e``; tabs and line feeds stay."""
    return _IN_LINES.sub(_written_out, text)


def visible_line(text: str) -> str:
    """Return `text` as `visible` does, its line feeds and tabs written out too."""
    return _IN_ONE_LINE.sub(_written_out, text)


def visible_json(text: str) -> str:
    """Return the JSON `text` with the same characters in its strings as JSON's own escapes."""
    return _IN_LINES.sub(_in_json, text)


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))
