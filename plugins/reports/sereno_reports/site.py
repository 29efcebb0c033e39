"""The reports as an app: a list, a page for each, its files. It only reads, and needs no framework.

``/``                          the newest revision of each report
``/{number}``                  one revision, with its files and the other revisions
``/{number}/page.html``        the report itself, which runs nothing and fetches nothing
``/{number}/{name}.{form}``    a file: pdf, xlsx, csv, json
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, quote

import msgspec

from sereno import Client, NotFoundError, SerenoError, StoreUnavailableError
from sereno_reports.database import connected
from sereno_reports.declared import in_language
from sereno_reports.figures import Figures
from sereno_reports.folder import file_name
from sereno_reports.forms import FORMS, TYPES, Form, FormError, given_out
from sereno_reports.page import templates
from sereno_reports.paper import PaperError
from sereno_reports.query import query
from sereno_reports.settings import Language, Settings
from sereno_reports.shelf import TABLE
from sereno_reports.site_visitor import EXTENSION, SiteClosedError, Visitor, visitor_of
from sereno_reports.words import words_in

_LISTED = 100
_STYLE = Path(__file__).with_name("templates").joinpath("site.css").read_bytes()
_STYLE_NAME = f"site.{hashlib.blake2s(_STYLE, digest_size=5).hexdigest()}.css"
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)


class SiteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered."""

    status: int = 200
    kind: str = "text/html; charset=utf-8"
    body: bytes = b""
    headers: dict[str, str] = {}


class ReportSite:
    """The ASGI application."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope)
        except SiteClosedError as error:
            answer = self._failure(scope, 503, str(error))
        except NotFoundError as error:
            answer = self._failure(scope, 404, str(error))
        except StoreUnavailableError as error:
            answer = self._failure(scope, 503, f"the database is away or busy: {error}")
        except (FormError, PaperError) as error:
            answer = self._failure(scope, 409, str(error))
        except SerenoError as error:
            answer = self._failure(scope, 503, str(error))
        await _sent(scope, send, answer)

    async def _answer(self, scope: Any) -> SiteAnswer:
        if scope["method"] not in ("GET", "HEAD"):
            return SiteAnswer(status=405, headers={"allow": "GET, HEAD"})
        root: str = scope.get("root_path", "")
        parts = scope["path"][len(root) :].strip("/").split("/")
        if parts == [_STYLE_NAME]:
            kept = {"cache-control": "public, max-age=31536000, immutable"}
            return SiteAnswer(kind="text/css; charset=utf-8", body=_STYLE, headers=kept)
        visitor = await visitor_of(scope)
        if visitor is None:
            door = scope["extensions"][EXTENSION]["door"]
            return SiteAnswer(status=303, headers={"location": door})
        if parts == [""]:
            return await self._list(scope, visitor)
        if len(parts) <= 2 and parts[0].isascii() and parts[0].isdecimal() and len(parts[0]) < 19:
            return await self._report(scope, visitor, int(parts[0]), parts[1:])
        raise NotFoundError("there is nothing at this address")

    async def _list(self, scope: Any, visitor: Visitor) -> SiteAnswer:
        asked = {n: v[-1] for n, v in parse_qs(scope["query_string"].decode("latin-1")).items()}
        name, before = asked.get("name") or None, _day(asked.get("before", ""))
        async with self._database() as database:
            if await database.fetchval(query("exists"), TABLE) is None:
                names, rows = [], []
            else:
                kept = [row["name"] for row in await database.fetch(query("site_names"))]
                names = [one for one in kept if visitor.may_read(one)]
                rows = await database.fetch(query("site_list"), _LISTED, name, before, names)
        language = self._language(scope)
        shown = [
            dict(row) | {"title": in_language(row["title"] or row["name"], language)}
            for row in rows
        ]
        older = rows[-1]["day"] if len(rows) == _LISTED else None
        return self._page(
            scope, "site_list.html.j2", reports=shown, names=names, name=name, older=older
        )

    async def _report(
        self, scope: Any, visitor: Visitor, number: int, file: list[str]
    ) -> SiteAnswer:
        async with self._database() as database:
            row, revisions = None, []
            if await database.fetchval(query("exists"), TABLE) is not None:
                row = await database.fetchrow(query("site_report"), number)
            if row is not None and not file:
                key = (row["name"], row["day"], row["params_hash"])
                revisions = await database.fetch(query("site_revisions"), *key)
        if row is None or not visitor.may_read(row["name"]):
            raise NotFoundError(f"there is no report {number}")
        if file:
            return await _file(dict(row), file[0])
        return self._page(scope, "site_report.html.j2", **self._facts(scope, row, revisions))

    def _facts(self, scope: Any, row: Any, revisions: list[Any]) -> dict[str, Any]:
        language = self._language(scope)
        title, heading = row["name"], str(row["day"])
        if "declared" in (row["look"] or {}):
            figures = msgspec.convert(row["figures"], Figures)
            title = in_language(row["look"]["declared"]["title"], language)
            last = date.fromisoformat(figures.last)
            heading = words_in(language).period(figures.kind, row["day"], last)
        stem = file_name(f"{row['name']}-{row['day']}-r{row['revision']}")
        return {
            "report": row,
            "title": title,
            "heading": heading,
            "revisions": revisions,
            "files": [(form, f"{stem}.{form}") for form in FORMS if form != "html"],
        }

    def _page(self, scope: Any, template: str, status: int = 200, **facts: Any) -> SiteAnswer:
        told = (scope.get("extensions") or {}).get(EXTENSION) or {}
        root, language = scope.get("root_path", ""), self._language(scope)
        text = (
            templates()
            .get_template(template)
            .render(
                root=root,
                style=f"{root}/{_STYLE_NAME}",
                door=told.get("door"),
                language=language,
                text=words_in(language).texts["site"],
                quote=lambda value: quote(str(value), safe=""),
                **facts,
            )
        )
        policy = {"content-security-policy": _PAGE_POLICY}
        return SiteAnswer(status=status, body=text.encode(), headers=policy)

    def _failure(self, scope: Any, status: int, sentence: str) -> SiteAnswer:
        title = HTTPStatus(status).phrase
        return self._page(scope, "site_failure.html.j2", status, title=title, sentence=sentence)

    def _language(self, scope: Any) -> Language:
        """Return the first language of the browser's that there is, else the one of the reports."""
        for name, value in scope["headers"]:
            if name == b"accept-language":
                for part in value.decode("latin-1")[:1_000].split(","):
                    code = part.partition(";")[0].strip().lower().partition("-")[0]
                    if code in get_args(Language):
                        return "es" if code == "es" else "en"
        return self._settings.language

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Any]:
        url = self._settings.database_url
        async with self._client.database() if url is None else connected(url) as database:
            yield database


async def _file(row: dict[str, Any], asked: str) -> SiteAnswer:
    form = asked.rpartition(".")[2]
    if form not in FORMS:
        raise NotFoundError(f"there is no form '{form[:40]}'; there are {', '.join(FORMS)}")
    chosen: Form = FORMS[FORMS.index(form)]
    body = await asyncio.to_thread(given_out, row, chosen)
    kind = "/".join(TYPES[form]) + ("; charset=utf-8" if TYPES[form][0] == "text" else "")
    headers = {"content-security-policy": _REPORT_POLICY}
    if form != "html":
        name = file_name(asked.removesuffix(f".{form}"))
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(f'{name}.{form}')}"
    return SiteAnswer(kind=kind, body=body, headers=headers)


async def _sent(scope: Any, send: Any, answer: SiteAnswer) -> None:
    headers = {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "content-type": answer.kind,
        "content-length": str(len(answer.body)),
        **answer.headers,
    }
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
