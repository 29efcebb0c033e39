"""What many open pages show is written once for all who see the same, and never out of date."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from starlette.responses import Response, StreamingResponse

from sereno import Client, News
from sereno_console.security.identity import Identity
from sereno_console.security.permissions import Access
from sereno_console.web.hub import Hub
from sereno_console.web.looks import LOOK, Looks, is_refresh
from sereno_console.web.request import ConsoleRequest

from .conftest import Serve
from .shop import JOBS, at_work, bearer

OUTSIDE = {"host": "0.0.0.0"}


def look(
    hub: Hub, path: str = "/", query: str = "", name: str = "ana", scope: str = "admin", **more: str
) -> ConsoleRequest:
    headers = [(n.replace("_", "-").encode(), v.encode()) for n, v in {LOOK: "1", **more}.items()]
    asked = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
    request = ConsoleRequest({**asked, "headers": headers})
    request.hub = hub
    request.known_as(Identity(name=name, access=Access.of([scope]), via="session"))
    return request


class Pages:
    """Answers with the number of the page that it is, once it is let go."""

    def __init__(self, kind: Callable[[str], Response] = Response) -> None:
        self.made, self.go, self._kind = 0, asyncio.Event(), kind

    async def make(self) -> Response:
        self.made += 1
        number = str(self.made)
        await self.go.wait()
        return self._kind(number)


async def test_what_all_look_at_in_the_same_moment_is_written_once() -> None:
    hub, looks, pages = Hub(), Looks(), Pages()
    asked = [looks.answer(look(hub, name=f"user {n}"), pages.make) for n in range(20)]
    waiting = asyncio.gather(*asked)
    await asyncio.sleep(0)
    pages.go.set()
    assert {answer.body for answer in await waiting} == {b"1"}
    assert (await looks.answer(look(hub), pages.make)).body == b"1"


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/jobs"},
        {"query": "q=a"},
        {"scope": "viewer:shop.*"},
        {"accept_language": "es"},
        {"cookie": "sereno_zone=Europe/Madrid"},
        {"cookie": "sereno_language=es"},
    ],
)
async def test_who_sees_something_else_has_a_page_of_their_own(other: dict[str, str]) -> None:
    hub, looks, pages = Hub(), Looks(), Pages()
    pages.go.set()
    assert (await looks.answer(look(hub), pages.make)).body == b"1"
    assert (await looks.answer(look(hub, **other), pages.make)).body == b"2"
    assert (await looks.answer(look(hub), pages.make)).body == b"1"


async def test_after_something_new_nobody_has_what_was_begun_before_it() -> None:
    hub, looks, pages = Hub(), Looks(), Pages()
    before = asyncio.ensure_future(looks.answer(look(hub), pages.make))
    await asyncio.sleep(0)
    await hub._add(News(topics=("runs",)))
    after = asyncio.ensure_future(looks.answer(look(hub), pages.make))
    await asyncio.sleep(0)
    pages.go.set()
    assert ((await before).body, (await after).body) == (b"1", b"2")


async def test_a_second_later_it_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, looks, pages = Hub(), Looks(), Pages()
    later: list[Callable[[], Awaitable[None]]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(
        loop, "call_later", lambda seconds, call, *given: later.append(lambda: call(*given))
    )
    pages.go.set()
    assert (await looks.answer(look(hub), pages.make)).body == b"1"
    for call in later:
        call()
    assert (await looks.answer(look(hub), pages.make)).body == b"2"


async def test_who_leaves_takes_nothing_from_those_who_wait_for_the_same() -> None:
    hub, looks, pages = Hub(), Looks(), Pages()
    first = asyncio.ensure_future(looks.answer(look(hub), pages.make))
    second = asyncio.ensure_future(looks.answer(look(hub), pages.make))
    await asyncio.sleep(0)
    first.cancel()
    pages.go.set()
    assert (await second).body == b"1"


async def test_what_is_sent_as_it_is_made_goes_to_one_alone() -> None:
    hub, looks = Hub(), Looks()
    pages = Pages(lambda _: StreamingResponse(iter(())))
    pages.go.set()
    found = [await looks.answer(look(hub), pages.make) for _ in range(2)]
    assert found[0] is not found[1]


def test_secrets_that_are_shown_are_noted_each_time() -> None:
    hub = Hub()
    assert is_refresh(look(hub))
    assert not is_refresh(look(hub, query="reveal=yes"))


async def test_a_look_has_every_part_that_lives_and_names_nobody(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS, apps=OUTSIDE) as web, Client.open(database) as our:
        run = await our.enqueue("shop.orders")
        await our.wait(run)
        web.headers.update(await bearer(database, "admin", name="somebody"))
        pages = ["", "jobs", "jobs/shop.orders", "schedules", "runs", f"runs/{run}", "cluster"]
        for path in [*pages, "logs", "load", "changes", "runs-changed", "jobs/etl.sync/ledger"]:
            whole = (await web.get(f"/console/{path}")).text
            answer = await web.get(f"/console/{path}", headers={LOOK: "1"})
            assert "somebody" in whole
            assert "somebody" not in answer.text
            parts = re.findall(r'<\w+[^>]*id="([^"]+)"[^>]* data-live', whole)
            assert parts == re.findall(r'<\w+[^>]*id="([^"]+)"[^>]* data-live', answer.text)
            assert parts, path
            assert len(answer.text) < len(whole)
