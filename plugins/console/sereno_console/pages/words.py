"""States, verdicts and causes in words, each with a sign, as colour alone tells too little."""

from sereno_console.pages.navigation import _
from sereno_console.pages.texts import Texts

WORDS = {
    "queued": _("waiting"),
    "running": _("running"),
    "succeeded": _("succeeded"),
    "failed": _("failed"),
    "timed_out": _("timed out"),
    "cancelled": _("cancelled"),
    "lost": _("lost"),
    "ran": _("ran"),
    "late": _("ran late"),
    "waiting": _("waiting"),
    "skipped": _("skipped"),
    "missed": _("missed"),
    "coalesced": _("coalesced"),
    "expired": _("expired"),
    "backfilled": _("filled later"),
    "backfill": _("back-fill"),
    "slot": _("schedule"),
    "person": _("a person"),
    "program": _("a program"),
    "retry": _("retry"),
    "chain": _("chain"),
    "part": _("part"),
    "active": _("active"),
    "paused": _("paused"),
    "retired": _("retired"),
    "orphaned": _("no longer declared"),
    "orphan": _("no longer declared"),
    "override": _("changed"),
    "create": _("made"),
    "declare": _("declared"),
    "adopt": _("adopted"),
    "remove": _("removed"),
    "pause": _("paused"),
    "resume": _("resumed"),
    "drift": _("moved"),
    "done": _("done"),
    "loaded": _("loaded"),
    "disabled": _("switched off"),
    "log-in": _("logged in"),
    "log-in refused": _("log-in refused"),
    "log-out": _("logged out"),
    "user added": _("user added"),
    "user changed": _("user changed"),
    "user removed": _("user removed"),
    "token added": _("token made"),
    "token revoked": _("token revoked"),
    "session revoked": _("logged out by another"),
    "sessions revoked": _("logged out everywhere by another"),
    "secrets shown": _("secrets shown"),
    "stack shown": _("stack shown"),
    "info": _("info"),
    "warning": _("warning"),
    "critical": _("critical"),
}
"""What the kernel calls a thing, and what people read; a name that is not here is read as it is."""

_GLYPHS = {
    "succeeded": "\N{CHECK MARK}",
    "ran": "\N{CHECK MARK}",
    "late": "\N{CHECK MARK}",
    "loaded": "\N{CHECK MARK}",
    "disabled": "\N{HEAVY VERTICAL BAR}\N{HEAVY VERTICAL BAR}",
    "failed": "\N{MULTIPLICATION X}",
    "timed_out": "\N{MULTIPLICATION X}",
    "lost": "\N{MULTIPLICATION X}",
    "missed": "\N{MULTIPLICATION X}",
    "cancelled": "\N{CIRCLED DIVISION SLASH}",
    "skipped": "\N{CIRCLED DIVISION SLASH}",
    "coalesced": "\N{CIRCLED DIVISION SLASH}",
    "expired": "\N{CIRCLED DIVISION SLASH}",
    "running": "\N{BLACK RIGHT-POINTING TRIANGLE}",
    "queued": "\N{HORIZONTAL ELLIPSIS}",
    "waiting": "\N{HORIZONTAL ELLIPSIS}",
    "paused": "\N{HEAVY VERTICAL BAR}\N{HEAVY VERTICAL BAR}",
}


def spoken(texts: Texts, name: str) -> str:
    """Return what people read for `name`."""
    return texts.gettext(WORDS.get(name, name.replace("_", " ")))


def glyph(name: str) -> str:
    """Return the sign of a state or verdict, ``•`` for one that has none."""
    return _GLYPHS.get(name, "\N{BULLET}")
