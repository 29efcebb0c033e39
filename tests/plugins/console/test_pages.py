"""The pages as text: what they show, what they do, and what hostile words do to them."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import Client, ParamsError, RunFilter, find_zone
from sereno_console.pages.params_form import fields_of, params_given
from sereno_console.pages.presentation import LANGUAGES, Presentation
from sereno_console.pages.run_search import read_search
from sereno_console.pages.texts import texts_in
from sereno_console.pages.texts.extraction import sentences
from sereno_console.web.request import ConsoleRequest

from .conftest import Serve
from .shop import JOBS, at_work, bearer

HOSTILE = "<script>alert(1)</script>"


def told(query: str = "", **headers: str) -> Presentation:
    """Return how somebody is spoken to."""
    given = [(n.replace("_", "-").encode(), v.encode("latin-1")) for n, v in headers.items()]
    scope = {"type": "http", "query_string": query.encode(), "headers": given, "path": "/"}
    return Presentation(ConsoleRequest(scope | {"server": ("t", 80), "scheme": "http"}))


async def test_each_page_is_whole_and_leads_to_the_next(serve: Serve, database: str) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        run = await sereno.enqueue("shop.orders", {"number": 7})
        await sereno.wait(run)
        bad = await sereno.enqueue("shop.bad")
        await sereno.wait(bad)
        seen, asked = set(), ["/console/"]
        while asked:
            path = asked.pop(0)
            answer = await web.get(path)
            assert answer.status_code == 200, (path, answer.text[-2000:])
            assert HOSTILE not in answer.text, path
            seen.add(path)
            links = re.findall(r'href="(/console/[^"#?]*)[^"]*"', answer.text)
            asked += sorted({p for p in links if "/static/" not in p} - seen - {*asked})

    assert {"/console/jobs", "/console/runs", f"/console/runs/{run}"} <= seen
    assert "/console/jobs/shop.orders" in seen


async def test_the_overview_tells_of_the_jobs_alone_that_its_reader_may_see(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        await sereno.wait(await sereno.enqueue("etl.sync"))
        await sereno.wait(await sereno.enqueue("shop.bad"))
        shop = await bearer(database, "viewer:shop.*", name="shop")
        etl = await bearer(database, "viewer:etl.*", name="etl")
        of_shop = (await web.get("/console/", headers=shop)).text
        of_etl = (await web.get("/console/", headers=etl)).text

    assert ("shop.bad" in of_shop, "etl.sync" in of_shop) == (True, False)
    assert ("shop.bad" in of_etl, "etl.sync" in of_etl) == (False, True)


async def test_a_form_queues_a_run_with_its_params_and_says_who_asked(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, Client.open(database) as sereno, at_work(database):
        page = (await web.get("/console/jobs/shop.orders")).text
        assert 'name="param.site"' in page
        form = {"param.site": "vigo", "param.number": str(2**63 + 1)}
        answer = await web.post("/console/jobs/shop.orders/run", data=form)
        assert answer.status_code == 303
        found = await sereno.run(int(answer.headers["location"].rpartition("/")[2]))
        assert found.params == {"site": "vigo", "number": 2**63 + 1, "key": None}
        assert found.requested_by
        for text in ("no number", "{"):
            refused = await web.post("/console/jobs/shop.orders/run", data={"param.number": text})
            assert refused.status_code == 400
            assert "param &#39;number&#39;" in refused.text


async def test_a_job_is_paused_with_a_reason_until_an_instant_and_resumed(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        given = {"reason": "the <exchange> moves", "until": "2h"}
        assert (await web.post("/console/jobs/etl.sync/pause", data=given)).status_code == 303
        (schedule,) = (await sereno.job("etl.sync")).schedules
        assert (schedule.state, schedule.paused_reason) == ("paused", given["reason"])
        assert "the &lt;exchange&gt; moves" in (await web.get("/console/jobs/etl.sync")).text
        assert (await web.post("/console/jobs/etl.sync/resume")).status_code == 303
        (schedule,) = (await sereno.job("etl.sync")).schedules
        assert schedule.state == "active"
        refused = await web.post("/console/jobs/etl.sync/pause", data={"until": "soonish"})
        assert refused.status_code == 400


async def test_a_search_that_cannot_be_read_is_a_sentence_beside_it(serve: Serve) -> None:
    async with serve(*JOBS) as web:
        for text in ("stat:failed", "state:faled", "since:soon", "job:a job:b", 'job:"open'):
            answer = await web.get("/console/runs", params={"q": text})
            assert answer.status_code == 400, text
            assert 'role="alert"' in answer.text
        other = await web.get("/console/runs", params={"cursor": "bm8"})
        assert other.status_code == 400


def test_a_search_is_a_filter() -> None:
    now = told("zone=Europe/Madrid")
    found = read_search('orders state:failed state:lost params.site:12 error:"no way"', now)
    assert found == RunFilter(
        job="*orders*", states=("failed", "lost"), params={"site": 12}, error="no way"
    )
    day = read_search("since:2026-07-01 until:2026-07-01T12:00", now)
    assert day.since == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert day.until == datetime(2026, 7, 1, 10, tzinfo=UTC)


@given(st.text(max_size=200))
def test_whatever_is_searched_for_is_a_filter_or_a_sentence(text: str) -> None:
    try:
        found: object = read_search(text, told())
    except ParamsError as error:
        found = str(error)
    assert found


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.one_of(st.integers(), st.text(max_size=20), st.booleans(), st.none()),
    )
)
def test_params_go_through_a_form_unchanged(params: dict[str, object]) -> None:
    rules = {bool: "boolean", int: "number", str: "string", type(None): None}
    takes = {n: {"type": rules[type(v)], "required": False} for n, v in params.items()}
    form = {}
    for field in fields_of(takes, params):
        if field.kind == "boolean":
            form |= {f"{field.name}.seen": "1"} | ({field.name: "on"} if field.checked else {})
        else:
            form[field.name] = field.value
    kept = {n: v for n, v in params.items() if v not in (None, "")}
    assert params_given(takes, form) == kept


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_every_sentence_has_its_translation(language: str) -> None:
    known = texts_in(language)
    single = [m for m in sentences() if isinstance(m, str)]
    plural = [m for m in sentences() if isinstance(m, tuple)]
    assert len(single) > 100
    assert [m for m in single if m not in known.catalog] == []
    assert [m for m in plural if m[0] not in known.plurals] == []
    for message in single:
        named = re.findall(r"%\((\w+)\)s", message)
        assert sorted(named) == sorted(re.findall(r"%\((\w+)\)s", known.catalog[message])), message


def test_days_and_numbers_are_written_as_the_reader_s_language_has_them() -> None:
    english, spanish = told(), told("language=es&zone=Europe/Madrid")
    at = datetime(2024, 2, 29, 23, 30, 5, tzinfo=UTC)
    assert english.short(at) == "Feb 29, 2024, 23:30:05"
    assert spanish.short(at) == "1 mar 2024, 00:30:05"
    assert english.full(at) == "Thursday 29 February 2024, 23:30:05 UTC (UTC)"
    assert spanish.full(at) == "viernes 1 marzo 2024, 00:30:05 UTC+01:00 (Europe/Madrid)"
    assert english.full(at, find_zone("Asia/Tokyo")).startswith("Friday 1 March 2024, 08:30:05 UTC")
    assert (english.number(1_234_567), spanish.number(1_234_567)) == ("1,234,567", "1.234.567")
    assert (english.number(-1_234), spanish.number(1234.5)) == ("-1,234", "1.234,5")
    assert (english.number(2**63), spanish.number(0)) == ("9,223,372,036,854,775,808", "0")


def test_a_reader_is_spoken_to_as_they_chose_else_as_their_browser_asks() -> None:
    assert told(accept_language="es-MX,en;q=0.5").language == "es"
    assert told("language=en", accept_language="es").language == "en"
    assert told(cookie="sereno_language=es; sereno_zone=America/Lima").zone_name == "America/Lima"
    for bad in ("zone=../../etc/passwd", "zone=Mars/Olympus", "zone=%00", "zone=" + "x" * 500):
        assert told(bad).zone_name == "UTC"
    assert told("language=<b>").language == "en"
