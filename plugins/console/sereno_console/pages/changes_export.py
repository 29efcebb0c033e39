"""The trail as a file: for auditors, in the form of spreadsheets or of programs."""

import csv
import io
import re
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse

from sereno import ChangeView, ParamsError
from sereno_console.pages.routes import PAGES
from sereno_console.web.request import ConsoleRequest

_AT_ONCE = 500
_MOST = 100_000
_COLUMNS = ("id", "at", "by", "action", "subject", "reason", "before", "after")
_SIGN = "[=+\\-@＝＋－＠]"
_TAKEN_AWAY = '[\\s"\ufeff\u200b]*'
_FRONT = re.compile(rf"{_TAKEN_AWAY}{_SIGN}|[\t\r\n]")
_BEHIND = re.compile(rf"([;,|\t\r\n]{_TAKEN_AWAY})({_SIGN})")
_BEHIND_IN_JSON = re.compile(rf"([;|]{_TAKEN_AWAY})({_SIGN})")  # [1,-2] is no formula
"""Where a formula would begin: at the front of a cell, and behind what a spreadsheet of another
locale takes for its end. Spaces and quotes between are taken away there."""


@PAGES.on("GET", "/changes/export", needs="read")
async def export(request: ConsoleRequest) -> Response:
    """Give the changes of a filter as CSV, or a line of JSON for each, the newest first."""
    request.user.require("read", "*")
    form = request.query_params.get("format", "csv")
    if form not in ("csv", "json"):
        raise ParamsError(f"the format is '{form[:40]}', it must be csv or json")
    found = _changes(request)
    first = await anext(found, None)  # what is wrong with the filter is told before a file begins
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
    name = f"sereno-changes.{'csv' if form == 'csv' else 'ndjson'}"
    lines = _csv(first, found) if form == "csv" else _json(first, found)
    named = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, 200, named, media_type=kind)


async def _changes(request: ConsoleRequest) -> AsyncIterator[ChangeView]:
    asked, cursor, given = request.query_params, None, 0
    while given < _MOST:
        found = await request.sereno.changes(
            subject=asked.get("subject") or None,
            by=asked.get("by") or None,
            limit=_AT_ONCE,
            cursor=cursor,
        )
        for change in found.items:
            yield change
        given += len(found.items)
        cursor = found.older
        if cursor is None:
            return


async def _csv(first: ChangeView | None, more: AsyncIterator[ChangeView]) -> AsyncIterator[str]:
    yield ",".join(_COLUMNS) + "\r\n"
    if first is not None:
        yield _row(first)
    async for change in more:
        yield _row(change)


async def _json(first: ChangeView | None, more: AsyncIterator[ChangeView]) -> AsyncIterator[bytes]:
    if first is not None:
        yield msgspec.json.encode(first) + b"\n"
    async for change in more:
        yield msgspec.json.encode(change) + b"\n"


def _row(change: ChangeView) -> str:
    plain = msgspec.to_builtins(change)
    line = io.StringIO()
    csv.writer(line).writerow([_cell(plain.get(name)) for name in _COLUMNS])
    return line.getvalue()


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        text, behind = value, _BEHIND
    else:
        text, behind = msgspec.json.encode(value).decode(), _BEHIND_IN_JSON
    found = behind.sub(r"\1'\2", text)
    return f"'{found}" if _FRONT.match(text) else found
