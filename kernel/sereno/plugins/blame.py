"""Finds the line of a plugin, and the job, that an exception at import comes from."""

import ast
import linecache
import traceback
from collections.abc import Iterator

from sereno.model.errors import SerenoError
from sereno.model.fault import message

MAX_REASON = 2_000
"""Characters of what is at fault with a plugin."""


def describe(error: BaseException, package: str) -> str:
    """Return `error` as a sentence: the job it concerns, its text, its line in `package`.

    An error of the kernel speaks for itself; any other gets the name of its class.
    """
    text = message(error, MAX_REASON) or "no message"
    if not isinstance(error, SerenoError):
        text = f"{type(error).__name__}: {text}"
    frame = _last_frame(error, package)
    if frame is None:
        return text
    name = _job_at(frame)
    if name and f"'{name}'" not in text:
        text = f"job '{name}': {text}"
    parts = frame.filename.replace("\\", "/").rsplit("/", 2)
    return f"{text} ({'/'.join(parts[-2:])}:{frame.lineno})"


def _last_frame(error: BaseException, package: str) -> traceback.FrameSummary | None:
    if isinstance(error, SyntaxError):
        return traceback.FrameSummary(error.filename or "?", error.lineno or 0, "<module>")
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == package:
            return traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name)
    return None


def _job_at(frame: traceback.FrameSummary) -> str | None:
    """Return the name in the ``job("...", ...)`` call that spans the frame's line."""
    try:
        tree = ast.parse("".join(linecache.getlines(frame.filename)))
    except SyntaxError:
        return None
    return next((n for n, first, last in _jobs(tree) if first <= (frame.lineno or 0) <= last), None)


def _jobs(tree: ast.AST) -> Iterator[tuple[str, int, int]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
        name = called.id if isinstance(called, ast.Name) else called
        first = node.args[0]
        if name == "job" and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value, node.lineno, node.end_lineno or node.lineno
