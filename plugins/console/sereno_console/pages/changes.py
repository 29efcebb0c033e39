"""The trail: who changed what, when and why."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec
from starlette.responses import Response

from sereno import NotFoundError, Page, ParamsError
from sereno_console.pages.environment import page
from sereno_console.pages.routes import PAGES
from sereno_console.web.request import ConsoleRequest

_PAGE = 50


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is another than before; None: it was, or is, not there."""

    name: str
    before: Any
    after: Any


@PAGES.on("GET", "/changes", needs="read")
async def changes(request: ConsoleRequest) -> Response:
    """List the changes."""
    subject, by = request.query_params.get("subject", ""), request.query_params.get("by", "")
    found, fault = Page[Any](items=()), None
    try:
        found = await request.sereno.changes(
            subject=subject or None,
            by=by or None,
            limit=_PAGE,
            cursor=request.query_params.get("cursor"),
        )
    except (NotFoundError, ParamsError) as error:
        fault = str(error)
    return await page(
        request,
        "changes.html",
        400 if fault else 200,
        active=("changes",),
        found=found,
        rows=[(change, list(differences(change.before, change.after))) for change in found.items],
        subject=subject,
        by=by,
        fault=fault,
    )


def without(secrets: Collection[str], found: Iterable[Difference]) -> list[Difference]:
    """Return differences of schedules without the values of params that are secret."""
    return [
        msgspec.structs.replace(
            one,
            before=_without(secrets, one.name, one.before),
            after=_without(secrets, one.name, one.after),
        )
        for one in found
    ]


def _without(secrets: Collection[str], name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.removeprefix("params.") in secrets and name.startswith("params."):
        return "***"
    if isinstance(value, dict) and name in ("", "params"):
        inner = value.get("params") if name == "" else value
        if isinstance(inner, dict):
            hidden = {n: "***" if n in secrets and v is not None else v for n, v in inner.items()}
            return {**value, "params": hidden} if name == "" else hidden
    return value


def differences(before: Any, after: Any) -> Iterator[Difference]:
    """Yield what differs of two values, a level deep, the names in their order."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before is not None or after is not None:
            yield Difference(name="", before=before, after=after)
        return
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            for inner in differences(was, now):
                yield msgspec.structs.replace(inner, name=f"{name}.{inner.name}")
        else:
            yield Difference(name=name, before=was, after=now)
