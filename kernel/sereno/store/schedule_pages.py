"""Lists schedules by name, page by page, for a bounded price each; and reads one with its parts."""

from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from sereno.model.errors import NotFoundError
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.suggestion import suggested
from sereno.settings import hidden
from sereno.store.ledger import version_of
from sereno.store.page import Page, cursor, mark, read_cursor
from sereno.store.pool import Database
from sereno.store.shown_rows import masked, picked
from sereno.store.views import ScheduleView, known_job

ListedState = Literal["active", "paused", "orphaned"]

V = TypeVar("V", bound=ScheduleView)

LOOKED_AT = 20_000
"""Schedules that are looked at for a page, where what is wanted may be rare."""


class ScheduleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which schedules are wanted. `text`: in name, title or trigger; None: any."""

    text: str | None = None
    job: str | None = None
    state: ListedState | None = None
    tag: str | None = None


class ScheduleDetail(ScheduleView, frozen=True, kw_only=True):
    """One schedule with its parts as people wrote them, and its next slots. `spec`: what holds;
    `declared`: what the plugin, the configuration or a person made it with; secrets are masked.
    `secrets`: params that are secret by the job's word. `now`: the database's time of the
    reading."""

    spec: ScheduleSpec
    declared: ScheduleSpec
    now: datetime
    coming: tuple[datetime, ...] = ()
    secrets: tuple[str, ...] = ()


async def listed(
    db: Database, wanted: ScheduleFilter, *, limit: int, at: str | None = None
) -> Page[ScheduleView]:
    """Return a page of the schedules that `wanted` is of, by name, from the cursor `at` on.

    What follows is behind `older`, what goes before is behind `newer`. Raises ParamsError,
    NotFoundError.
    """
    of = mark(wanted)
    place = None if at is None else read_cursor(at, str, of)
    onward, key = (True, "") if place is None else (place.older, place.key)
    if wanted.job is not None:
        await known_job(db, wanted.job)
    text = wanted.text.lower() if wanted.text else None
    plain = text is None and wanted.tag is None
    looked = limit + 1 if plain else LOOKED_AT
    asked = (onward, key, looked, limit + 1, wanted.job, wanted.state, wanted.tag, text)
    (row,) = await db.fetch("view_schedules_walk", *asked)
    found = row["found"][:limit]
    rows = await db.fetch("view_schedules_of", found) if found else []
    items = tuple(_view(r, ScheduleView) for r in rows)
    more = len(row["found"]) > limit
    whole = more or row["walked"] < looked
    end = (items[-1].name if onward else items[0].name) if more else row["last"]
    ahead = None if not more and whole else cursor(onward, end, of)
    back = None
    if place is not None:
        first = (items[0].name if onward else items[-1].name) if items else key
        back = cursor(not onward, first, of)
    older, newer = (ahead, back) if onward else (back, ahead)
    return Page(items=items, older=older, newer=newer, whole=whole)


async def one(db: Database, name: str) -> ScheduleDetail:
    """Return the schedule of that very name; raises NotFoundError, and DeclarationError where its
    declaration cannot be read."""
    known = await db.fetch("search_schedules", name)
    rows = await db.fetch("view_schedules_of", [row["id"] for row in known]) if known else []
    if not rows:
        near = await db.fetchval("schedule_like", name)
        hint = suggested(near, "; `sereno schedule list` shows all")
        raise NotFoundError(f"there is no schedule '{name}'{hint}")
    (row,) = rows
    secrets = tuple(row["secrets"] or ())
    return _view(
        row,
        ScheduleDetail,
        spec=_masked(ScheduleSpec.from_json(row["declared"], row["overrides"]), secrets),
        declared=_masked(ScheduleSpec.from_json(row["declared"], {}), secrets),
        secrets=secrets,
    )


def _view(row: Any, view: type[V], **more: Any) -> V:
    known = picked(row, view) | more
    known["definition"] = _masked(masked(version_of(row)), tuple(row["secrets"] or ()))
    return view(**known)


S = TypeVar("S", ScheduleSpec, ScheduleVersion)


def _masked(found: S, secrets: tuple[str, ...]) -> S:
    params = hidden("params", found.params)
    params |= {name: "***" for name in secrets if params.get(name) is not None}
    return msgspec.structs.replace(found, params=params)
