"""Writes pages from templates: escaped, and with what every page needs."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import Response

from sereno_console.pages.assets import asset
from sereno_console.pages.navigation import SECTIONS, other_apps
from sereno_console.pages.presentation import LANGUAGES, Presentation
from sereno_console.pages.words import glyph, spoken
from sereno_console.web.looks import is_refresh
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import readable_by, visible

_TIME = Markup('<time datetime="%s" title="%s">%s</time>')


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("sereno_console.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # The extension finds these in what a page is rendered with: another language for each reader.
    made.globals |= {"gettext": _gettext, "ngettext": _ngettext, "_": _gettext}
    made.filters |= {"when": when, "ago": ago, "span": span, "number": number, "spoken": word}
    made.filters |= {"json_text": json_text, "policy": policy}
    made.globals |= {"glyph": glyph}
    return made


async def page(
    request: ConsoleRequest, template: str, status: int = 200, /, **facts: Any
) -> Response:
    """Answer with `template`, which sees `facts`, the `request`, `user` (None: nobody is known),
    `url`, `asset`, and how its reader is spoken to (`told`)."""
    told = Presentation(request)
    if request.known is not None:
        facts = {name: visible(request.known, value) for name, value in facts.items()}
    if isinstance(facts.get("fault"), str):
        facts["fault"] = readable_by(request.known, facts["fault"])
    seen = {"request": request, "user": request.known, "url": request.link, "told": told, **facts}
    seen["layout"] = "look.html" if is_refresh(request) else "layout.html"
    seen["asset"] = lambda name: request.link("static", asset(name))
    query = dict(parse_qsl(request.url.query, keep_blank_values=True))
    seen["here"] = lambda **changed: _here(request.asked_path, query, changed)
    seen["sections"] = SECTIONS if request.known is not None else ()
    seen["other_apps"] = other_apps(request.scope)
    seen["languages"] = LANGUAGES
    text = ENVIRONMENT.get_template(template).render(seen)  # it waits for nothing: all is at hand
    answer = Response(text, status, media_type="text/html; charset=utf-8")
    told.keep(answer)
    return answer


def _here(path: str, query: dict[str, str], changed: dict[str, Any]) -> str:
    """Return a page's own address with its query changed; None takes a name out."""
    kept = urlencode({n: value for n, value in (query | changed).items() if value is not None})
    return f"{path}?{kept}" if kept else path


def _reader(context: Context) -> Presentation:
    found: Presentation = context["told"]
    return found


@pass_context
def _gettext(context: Context, message: str, /, **facts: Any) -> str:
    return _reader(context).texts.gettext(message, **facts)


@pass_context
def _ngettext(context: Context, one: str, many: str, count: int, /, **facts: Any) -> str:
    return _reader(context).texts.ngettext(one, many, count, **facts)


@pass_context
def when(context: Context, instant: datetime | None, absent: str = "") -> str | Markup:
    """Return an instant as a ``<time>``: short to read, with all of it to point at."""
    if instant is None:
        return absent
    told = _reader(context)
    return _time(instant, f"{told.full(instant)} - {told.ago(instant)}", told.short(instant))


@pass_context
def ago(context: Context, instant: datetime | None, absent: str = "") -> str | Markup:
    """Return how far an instant is from now, as a ``<time>`` with all of it to point at."""
    if instant is None:
        return absent
    told = _reader(context)
    return _time(instant, told.full(instant), told.ago(instant))


def _time(instant: datetime, title: str, shown: str) -> Markup:
    """Return it; `%` escapes, and takes a third of the time that `format` does."""
    return _TIME % (instant.isoformat(), title, shown)


@pass_context
def span(context: Context, value: timedelta | float | None, parts: int = 2) -> str:
    """Return a duration in words."""
    return _reader(context).span(value, parts)


@pass_context
def number(context: Context, value: float) -> str:
    """Return a number as this reader writes it."""
    return _reader(context).number(value)


def json_text(value: Any) -> str:
    """Return JSON over several lines; whole numbers are exact, of whatever size."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


@pass_context
def policy(context: Context, value: Any) -> str:
    """Return the value of a policy: durations in words, tables as pairs."""
    if isinstance(value, dict):
        pairs = ((name, policy(context, given)) for name, given in value.items())
        return ", ".join(f"{name} {given}" for name, given in pairs if given)
    if isinstance(value, str) and value.startswith(("PT", "P")):
        try:
            return _reader(context).span(msgspec.convert(value, timedelta))
        except msgspec.ValidationError:
            pass
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return spoken(_reader(context).texts, value) if isinstance(value, str) else str(value)


@pass_context
def word(context: Context, name: str) -> str:
    """Return a state, verdict, cause or policy in this reader's words."""
    return spoken(_reader(context).texts, name)


ENVIRONMENT = _environment()
