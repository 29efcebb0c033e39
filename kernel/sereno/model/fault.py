"""Words what was raised, as a sentence and as a traceback, whatever its size and shape.

Both are cut while they are made: a message of 100 MB, a chain of a thousand causes or a source line
of 50 MB costs what its first and last characters cost. No error's own code ends the caller.
"""

import os
import reprlib
import traceback
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Any

from sereno.model.text import cut, shortened

MAX_MESSAGE = 20_000
MAX_TRACEBACK = 20_000

_MAX_NAME = 200
_MAX_LINE = 300
_MAX_SOURCE_BYTES = 4_000_000
_FIRST_FRAMES, _LAST_FRAMES = 25, 50
_MOST_CAUSES = 10
_MOST_NOTES = 10
_MAX_NOTE = 1_000
_MOST_IN_GROUP = 15
_DEEPEST_GROUP = 4


def sentence(error: BaseException, limit: int = MAX_MESSAGE) -> str:
    """Return the name of the error's class and what it says."""
    return f"{_name(error)}: {message(error, limit)}"


def message(error: BaseException, limit: int = MAX_MESSAGE) -> str:
    """Return what the error says, or why it cannot say it."""
    try:
        kind = type(error).__str__
        if kind in (BaseException.__str__, KeyError.__str__):
            words = _of_arguments(error, quoted=kind is KeyError.__str__, limit=limit)
        else:
            words = str.__str__(str(error))
    except BaseException as raised:  # its own code, which may even call sys.exit
        return f"(its message cannot be told: {_name(raised)})"
    return cut(words, limit)


def traceback_of(
    error: BaseException, trace: TracebackType | None = None, limit: int = MAX_TRACEBACK
) -> str:
    """Return the traceback of `error` and of its causes, as Python words it; no newline ends it.

    `trace`: in place of the error's own.
    """
    try:
        told = "\n\n".join(_chain(error, trace or error.__traceback__, 0))
    except BaseException as raised:
        told = f"{sentence(error, _MAX_LINE)}\n(its traceback cannot be told: {_name(raised)})"
    return cut(told, limit)


def written(value: object, limit: int) -> str:
    """Return what `repr` writes of a value, or the beginning of it where it is large."""
    return _Bounded(limit).repr(value)


class _Bounded(reprlib.Repr):
    """Writes values as `repr` does, and no more than the beginning of large ones."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.maxlevel = 10
        self.maxstring = self.maxlong = self.maxother = max(limit, 100)
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 200
        self.maxarray = self.maxdeque = 200

    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value[: self.maxstring])

    repr_bytearray = repr_bytes

    def repr_dict(self, value: dict[Any, Any], level: int) -> str:
        """Keep the order of the keys, which the library's own would sort."""
        if level <= 0:
            return "{...}"
        shown = [
            f"{self.repr1(key, level - 1)}: {self.repr1(item, level - 1)}"
            for key, item in islice(value.items(), self.maxdict)
        ]
        return "{" + ", ".join([*shown, *(["..."] if len(value) > self.maxdict else [])]) + "}"


def _of_arguments(error: BaseException, *, quoted: bool, limit: int) -> str:
    """Return what `str` would, of arguments of any size."""
    given = error.args
    if not given:
        return ""
    bounded = _Bounded(limit)
    if len(given) > 1:
        return bounded.repr(given)
    one = given[0]
    if isinstance(one, str):
        whole = str.__str__(one)
        return bounded.repr(whole) if quoted else whole
    plain = (bytes, bytearray, list, tuple, dict, set, frozenset)
    return bounded.repr(one) if quoted or type(one) in plain else str.__str__(str(one))


def _name(error: BaseException) -> str:
    name: str = type.__dict__["__name__"].__get__(type(error))
    return shortened(name, _MAX_NAME)


def _full_name(error: BaseException) -> str:
    kind = type(error)
    name: str = type.__dict__["__qualname__"].__get__(kind)
    module: object = kind.__module__
    if isinstance(module, str) and module not in ("builtins", "__main__"):
        name = f"{module}.{name}"
    return shortened(name, _MAX_NAME)


def _chain(error: BaseException, trace: TracebackType | None, depth: int) -> Iterator[str]:
    """Yield the causes of `error`, the first one first, and `error` itself."""
    found: list[tuple[BaseException, str]] = [(error, "")]
    seen = {id(error)}
    while (link := _before(found[-1][0])) is not None and id(link[0]) not in seen:
        found.append(link)
        seen.add(id(link[0]))
    left = len(found) - _MOST_CAUSES
    if left > 0:
        half = _MOST_CAUSES // 2
        first = found[-half]
        found[-half:] = [(first[0], f"… {left} more errors in between …"), *found[1 - half :]]
        del found[half:-half]
    for n, (one, words) in reversed([*enumerate(found)]):
        yield _single(one, trace if n == 0 else one.__traceback__, depth)
        if words:
            yield words


def _before(error: BaseException) -> tuple[BaseException, str] | None:
    """Return what `error` came of, and the words between the two."""
    if error.__cause__ is not None:
        words = "The above exception was the direct cause of the following exception:"
        return error.__cause__, words
    if error.__context__ is not None and not error.__suppress_context__:
        words = "During handling of the above exception, another exception occurred:"
        return error.__context__, words
    return None


def _single(error: BaseException, trace: TracebackType | None, depth: int) -> str:
    parts = []
    if trace is not None:
        parts.append("Traceback (most recent call last):\n" + "".join(_frames(trace)).rstrip("\n"))
    if isinstance(error, SyntaxError):
        parts += _place(error)
    words = message(error, MAX_MESSAGE // 4)
    parts.append(f"{_full_name(error)}: {words}" if words else _full_name(error))
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list | tuple):
        told = (n if isinstance(n, str) else _Bounded(_MAX_NOTE).repr(n) for n in notes)
        parts += [shortened(note, _MAX_NOTE) for note in islice(told, _MOST_NOTES)]
    if isinstance(error, BaseExceptionGroup):
        parts += _members(error, depth)
    return "\n".join(parts)


def _members(group: BaseExceptionGroup[BaseException], depth: int) -> Iterator[str]:
    if depth >= _DEEPEST_GROUP:
        yield f"  | … {len(group.exceptions)} exceptions …"
        return
    for n, one in enumerate(group.exceptions[:_MOST_IN_GROUP], 1):
        told = "\n".join(_chain(one, one.__traceback__, depth + 1))
        lines = cut(told, MAX_TRACEBACK // (4 * (depth + 1))).splitlines()
        yield "\n".join([f"  +---------------- {n} ----------------", *(f"  | {x}" for x in lines)])
    if (left := len(group.exceptions) - _MOST_IN_GROUP) > 0:
        yield f"  | … and {left} more exceptions"


def _place(error: SyntaxError) -> Iterator[str]:
    """Yield where the code is that could not be read, and its line."""
    if error.lineno is not None:
        name = shortened(str(error.filename or "<string>"), _MAX_LINE)
        yield f'  File "{name}", line {error.lineno}'
    if isinstance(error.text, str) and error.text.strip():
        yield f"    {shortened(error.text, _MAX_LINE).strip()}"


def _frames(trace: TracebackType) -> Iterator[str]:
    """Yield the lines of the first and the last frames."""
    walked = traceback.walk_tb(trace)
    most = _FIRST_FRAMES + _LAST_FRAMES
    if len([*islice(walked, most + 1)]) <= most:
        yield from _formatted(trace, None)
        return
    yield from _formatted(trace, _FIRST_FRAMES)
    yield "  … frames between them are left out …\n"
    yield from _formatted(trace, -_LAST_FRAMES)


def _formatted(trace: TracebackType, limit: int | None) -> list[str]:
    """Return frames as Python words them; a long line loses its end, and the marks below it."""
    if _is_readable(trace, limit):
        found: Any = traceback.extract_tb(trace, limit)
    else:
        walked = traceback.walk_tb(trace)
        found = traceback.StackSummary.extract(walked, limit=limit, lookup_lines=False)
        found = [traceback.FrameSummary(f.filename, f.lineno, f.name, line="") for f in found]
    return traceback.StackSummary.from_list([_short(frame) for frame in found]).format()


def _is_readable(trace: TracebackType, limit: int | None) -> bool:
    """Tell whether no file of the frames would take its time to read."""
    names = {f.f_code.co_filename for f, _ in traceback.walk_tb(trace)}
    return not any(_is_large(name) for name in names)


def _is_large(filename: str) -> bool:
    try:
        return os.stat(filename).st_size > _MAX_SOURCE_BYTES
    except (OSError, ValueError):  # "<string>", or a name that no file may have
        return len(filename) > _MAX_SOURCE_BYTES


def _short(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    line = frame.line or ""
    if len(line) <= _MAX_LINE and len(frame.filename) <= _MAX_LINE and len(frame.name) <= _MAX_NAME:
        return frame
    return traceback.FrameSummary(
        shortened(frame.filename, _MAX_LINE),
        frame.lineno,
        shortened(frame.name, _MAX_NAME),
        lookup_line=False,
        line=shortened(line, _MAX_LINE),
    )
