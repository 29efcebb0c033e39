"""Schedules are listed, shown, made, changed and removed by pages, and their load is told."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import Client, ParamsError, ScheduleSpec, TriggerError, parse
from sereno_console.pages import coming_load
from sereno_console.pages.clock_changes import shown_slots
from sereno_console.pages.schedule_form import changes_of, read_form, written
from sereno_console.pages.trigger_words import trigger_words

from .conftest import Serve
from .shop import JOBS, at_work, bearer
from .test_pages import HOSTILE, told

ODD = "etl.sync@a/b <script>alert(1)</script>"
CRONTAB = {"kind": "crontab", "minute": "30", "hour": "2", "day": "*", "month": "*", "weekday": "*"}
CRONTAB |= {"zone": "Europe/Madrid", "shown_zone": "Europe/Madrid"}


def fields_in(text: str) -> dict[str, str]:
    """Return what a browser would send of the page's form."""
    form = text[text.index('<form method="post" class="schedule-form"') :]
    form = form[: form.index("</form>")]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        kept = {k: unescape(v) for k, v in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if kept.get("type") in ("radio", "checkbox"):
            if re.search(r"\bchecked\b", tag):
                found[kept["name"]] = kept.get("value", "on")
        else:
            found[kept["name"]] = kept.get("value", "")
    for name, body in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', body)
        found[name] = (chosen[1] or chosen[2]) if chosen else ""
    for name, body in re.findall(
        r'<textarea name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL
    ):
        found[name] = unescape(body)
    return found


async def posted(
    web: httpx.AsyncClient, path: str, /, *fields: dict[str, str], **more: str
) -> httpx.Response:
    return await web.post(
        f"/console/schedules/{path}",
        data={k: v for part in (*fields, more) for k, v in part.items()},
    )


async def test_a_schedule_is_made_by_the_form_shown_changed_and_removed(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        assert 'value="shop.orders"' in (await web.get("/console/schedules/new")).text
        empty = await web.get("/console/schedules/new?job=shop.orders&zone=Europe/Madrid")
        form = fields_in(empty.text) | CRONTAB | {"label": "night", "title": "By night"}
        form |= {"param.site": "vigo", "param.number": str(2**63 + 1), "tags": "shop, night"}
        form |= {"policy.overlap": "queue", "policy.grace": "90s", "start": "2036-01-01T00:00:00"}
        seen = await posted(web, "new", form, do="preview")
        assert seen.status_code == 200, seen.text
        assert "at 02:30, every day, Europe/Madrid" in seen.text
        assert seen.text.count('data-label="UTC"') == 10
        assert [s.name for s in await sereno.schedules("shop.orders")] == ["shop.orders"]

        answer = await posted(web, "new", form, do="save", paused="on", reason="a trial")
        assert answer.status_code == 303, unescape(answer.text)
        assert answer.headers["location"] == "/console/schedules/shop.orders%40night"
        made = await sereno.schedule("shop.orders@night")
        assert made.spec.trigger == "cron 30 2 * * * Europe/Madrid"
        assert made.spec.params == {"site": "vigo", "number": 2**63 + 1, "key": None}
        assert (made.spec.title, made.spec.tags) == ("By night", ("night", "shop"))
        assert made.spec.policies == {"overlap": "queue", "grace": "PT90S"}
        assert made.spec.starts_at == datetime(2035, 12, 31, 23, tzinfo=UTC)
        assert (made.state, made.paused_reason) == ("paused", "a trial")
        page = await web.get("/console/schedules/shop.orders@night")
        assert "By night" in page.text
        assert "a trial" in page.text

        form = fields_in((await web.get("/console/schedules/shop.orders@night/change")).text)
        same = await posted(web, "shop.orders@night/change", form, do="save")
        assert "nothing is another than it stands" in same.text
        form |= {"kind": "interval", "every": "90", "unit": "m", "policy.grace": "", "start": ""}
        changed = await posted(web, "shop.orders@night/change", form, do="save", reason="busy")
        assert changed.status_code == 303, unescape(changed.text)
        now = await sereno.schedule("shop.orders@night")
        assert (now.spec.trigger, now.spec.starts_at) == ("every 1h30m", None)
        assert now.spec.policies == {"overlap": "queue", "grace": "PT90S"}  # as it was made
        assert now.spec.params == made.spec.params

        assert (await posted(web, "shop.orders@night/remove")).status_code == 400
        gone = await posted(web, "shop.orders@night/remove", reason="over")
        assert gone.status_code == 303
        assert [s.name for s in await sereno.schedules("shop.orders")] == ["shop.orders"]


async def test_a_form_that_is_refused_keeps_what_was_written_beside_the_sentence(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web:
        page = await web.get("/console/schedules/new?job=shop.orders")
        plain = fields_in(page.text) | CRONTAB | {"label": "x", "do": "save"}
        for wrong, beside in (
            ({"minute": "61"}, "trigger"),
            ({"minute": "5 5"}, "trigger"),
            ({"zone": "Europe/Madird"}, "trigger"),
            ({"kind": "interval", "every": "-1"}, "trigger"),
            ({"kind": "clocked", "at": ""}, "trigger"),
            ({"kind": "solar"}, "trigger"),
            ({"kind": "text", "trigger": "(" * 500}, "trigger"),
            ({"kind": HOSTILE, "trigger": HOSTILE}, "trigger"),
            ({"start": "tomorrow"}, "start"),
            ({"end": "0001-01-01T00:00"}, "end"),
            ({"shown_zone": "nowhere", "start": "2036-01-01T00:00"}, "start"),
            ({"param.number": "{"}, "params"),
            ({"param.number": '"x"'}, "params"),
            ({"jitter": "soon"}, "jitter"),
            ({"policy.grace": "soon"}, "policy.grace"),
            ({"policy.priority": "99999"}, "policy.priority"),
            ({"except.nowhere": "on"}, "trigger"),
            ({"label": HOSTILE}, "label"),
            ({"title": "x" * 500}, "title"),
            ({"tags": "x" * 500}, "tags"),
        ):
            answer = await web.post("/console/schedules/new", data=plain | wrong)
            assert answer.status_code == 400, (wrong, answer.text)
            assert f'id="fault-{beside}"' in answer.text, (wrong, beside, answer.text)
            assert HOSTILE not in answer.text
            kept = fields_in(answer.text)
            for name, value in wrong.items():
                if name not in ("kind", "shown_zone") and not name.startswith("except."):
                    assert kept[name] == value


async def test_a_schedule_changed_by_another_meanwhile_is_shown_beside_what_was_written(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        form = fields_in((await web.get("/console/schedules/etl.sync/change")).text)
        other = {"trigger": "every 7h", "reason": f"mine {HOSTILE}"}
        assert (await web.patch("/api/v1/schedules/etl.sync", json=other)).status_code == 200
        form |= {"kind": "interval", "every": "5", "unit": "h"}
        answer = await posted(web, "etl.sync/change", form, do="save")
        assert answer.status_code == 412
        assert "Somebody has changed it" in answer.text
        assert f"mine {HOSTILE}" in unescape(answer.text)
        assert HOSTILE not in answer.text
        shown = re.sub(r"\s+", " ", answer.text)
        assert "<del>every 7h</del>" in shown
        assert "<ins>every 5h</ins>" in shown
        assert (await sereno.schedule("etl.sync")).spec.trigger == "every 7h"
        again = await posted(web, "etl.sync/change", fields_in(answer.text), do="save")
        assert again.status_code == 303
        assert (await sereno.schedule("etl.sync")).spec.trigger == "every 5h"


async def test_one_schedule_is_paused_and_the_others_of_its_job_go_on(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        form = CRONTAB | {"job": "etl.sync", "label": "odd", "do": "save"}
        assert (await posted(web, "new", form)).status_code == 303
        async with sereno.database() as connection:  # as an older version, or hands, may name one
            renaming = "UPDATE sereno.schedule SET name = $1 WHERE name = 'etl.sync@odd'"
            await connection.execute(renaming, ODD)
        for name in ("etl.sync", ODD):
            path = quote(name, safe="")
            paused = await posted(web, f"{path}/pause", reason=HOSTILE, until="2h")
            assert paused.status_code == 303, paused.text
            states = {s.name: s.state for s in await sereno.schedules("etl.sync")}
            assert states[name] == "paused"
            assert set(states.values()) == {"paused", "active"}
            page = await web.get(f"/console/schedules/{path}")
            assert page.status_code == 200
            assert HOSTILE not in page.text
            assert (await posted(web, f"{path}/resume", replay="none")).status_code == 303
        for where in ("", "?text=SCRIPT", "?job=etl.sync", "/new?job=etl.sync"):
            listed = await web.get(f"/console/schedules{where}")
            assert listed.status_code == 200
            assert HOSTILE not in listed.text
        assert quote(ODD, safe="") in (await web.get("/console/schedules?text=script")).text
        assert (await web.get("/console/schedules?state=odd")).status_code == 400
        assert (await web.get("/console/schedules?job=no.job")).status_code == 400
        assert (await web.get("/console/schedules/no.job")).status_code == 404


async def test_who_may_only_see_is_shown_no_form_and_refused_by_the_server(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web:
        header = await bearer(database, "viewer", "schedule:shop.*", "pause:shop.*")
        seen = await web.get("/console/schedules/etl.sync", headers=header)
        assert "etl.sync/change" not in seen.text
        assert "etl.sync/pause" not in seen.text
        own = await web.get("/console/schedules/shop.orders", headers=header)
        assert "shop.orders/change" in own.text
        form = CRONTAB | {"job": "etl.sync", "label": "x", "reason": "x", "do": "save"}
        for path in ("new", "etl.sync/change", "etl.sync/pause", "etl.sync/resume"):
            refused = await web.post(f"/console/schedules/{path}", data=form, headers=header)
            assert refused.status_code == 403, path
        jobs = await web.get("/console/schedules/new", headers=header)
        assert 'value="shop.orders"' in jobs.text
        assert 'value="etl.sync"' not in jobs.text


async def test_the_load_names_the_jobs_of_its_peaks_to_who_may_see_them(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        soon = (await sereno.now() + timedelta(hours=3)).replace(second=0, microsecond=0)
        for label in ("a", "b"):
            form = {"kind": "clocked", "at": soon.strftime("%Y-%m-%dT%H:%M"), "zone": "UTC"}
            form |= {"job": "etl.sync", "label": label, "do": "save"}
            assert (await posted(web, "new", form)).status_code == 303
        found = await web.get(f"/console/load?hour={quote(soon.isoformat())}")
        assert found.status_code == 200
        assert "etl.sync</a> × 2" in found.text
        assert '<section id="hour">' in found.text
        header = await bearer(database, "viewer:shop.*")
        other = await web.get("/console/load", headers=header)
        assert "etl.sync" not in other.text
        assert "2 of others" in other.text


@pytest.mark.parametrize(
    ("trigger", "english", "spanish"),
    [
        ("every 6h", "every 6 h", "cada 6 h"),
        ("0 8 * * * Europe/Madrid", "at 08:00, every day, Europe/Madrid", None),
        ("0 8,20 * * MON-FRI", "at 08:00 and 20:00, on Monday to Friday, UTC", None),
        ("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:59, UTC", None),
        ("30 4 1 JAN *", "at 04:30, on day 1 of the month in January, UTC", None),
        ("0 0 L * 5", "at 00:00, on the last day of the month or on Friday, UTC", None),
        ("5 */2 * * *", "every 2 hours at minute 5, UTC", None),
        ("@hourly", "every hour at minute 0, UTC", None),
        ("* * * * *", "every minute, UTC", None),
        (
            "except_on (cron 0 8 * * * UTC) calendar=festivos",
            "at 08:00, every day, UTC, except on festivos",
            "a las 08:00, todos los días, UTC, salvo festivos",
        ),
        ("7-58/3,1 1-23/7 * * *", "", ""),
        ("any_of (every 1h) (every 7h)", "", ""),
    ],
)
def test_a_trigger_is_said_in_words(trigger: str, english: str, spanish: str | None) -> None:
    assert trigger_words(told(), trigger) == english
    if spanish is not None:
        assert trigger_words(told("language=es"), trigger) == spanish


@given(st.text(alphabet="0123456789*/,-LW#?@ MONJAN()=calendar\0", max_size=80))
def test_whatever_stands_in_a_trigger_is_words_or_none(text: str) -> None:
    assert isinstance(trigger_words(told(), f"cron {text}"), str)


TRIGGERS = st.sampled_from(
    [
        *("every 6h", "every 90s", "every 1500ms", "every 6h anchor=2026-01-01T00:30:00Z"),
        *("cron 0 8 * * MON-FRI Europe/Madrid", "cron @daily UTC", "cron 0 0 8 * * * UTC"),
        *(
            "cron 0 8 * * * UTC gap=skip",
            "once 2036-03-01T08:00:05Z",
            "any_of (every 1h) (every 7h)",
        ),
        "except_on (cron 0 8 * * * Europe/Madrid) calendar=a,b tz=Europe/Madrid",
        "except_on (every 6h) calendar=a tz=UTC",
        "except_on (cron 0 8 * * * UTC) 2026-12-25 tz=UTC",
    ]
)
INSTANTS = st.none() | st.integers(0, 3_000).map(
    lambda days: datetime(2030, 1, 1, 12, 30, tzinfo=UTC) + timedelta(days=days)
)


@given(
    st.builds(
        ScheduleSpec,
        trigger=TRIGGERS,
        starts_at=INSTANTS,
        ends_at=INSTANTS,
        jitter=st.sampled_from([None, timedelta(seconds=30), timedelta(minutes=-5)]),
        policies=st.sampled_from([{}, {"grace": "PT90S", "max_running": 2}, {"priority": -3}]),
        title=st.sampled_from(["", HOSTILE, "a title"]),
        tags=st.sampled_from([(), ("a", "b c")]),
        one_off=st.booleans(),
        at_start=st.booleans(),
    ),
    st.sampled_from(["UTC", "Europe/Madrid", "Asia/Kathmandu"]),
)
def test_a_form_that_is_sent_back_as_it_is_changes_nothing(spec: ScheduleSpec, zone: str) -> None:
    form = written(spec, zone)
    wanted = read_form(form, {})
    assert wanted.faults == {}
    assert changes_of(wanted, form, spec, {}) == {}
    assert parse(wanted.trigger or "").text == parse(spec.trigger).text


KEYS = st.sampled_from([*written(None, "UTC"), "except.a", "policy.grace", "param.n", "params"])


@given(st.dictionaries(KEYS, st.text(max_size=30), max_size=8), st.booleans())
def test_whatever_a_form_says_is_read_or_refused_in_sentences(
    form: dict[str, str], free: bool
) -> None:
    takes = None if free else {"n": {"type": "number"}}
    wanted = read_form(form, takes)
    assert (wanted.trigger is None) == ("trigger" in wanted.faults)
    standing = ScheduleSpec(trigger="every 6h", params={"n": 3})
    with suppress(ParamsError, TriggerError):
        changes_of(wanted, form, standing, takes)


def test_slots_that_a_change_of_the_clock_touches_are_marked() -> None:
    daily = "cron 30 2 * * * Europe/Madrid"
    for since, expected in (
        (datetime(2026, 3, 27, 12, tzinfo=UTC), ["", "skipped", ""]),
        (datetime(2026, 10, 23, 12, tzinfo=UTC), ["", "first", "back"]),
    ):
        slots = list(zip(range(3), parse(daily).slots(since), strict=False))
        shown = shown_slots([slot for _, slot in slots], daily, since)
        assert [slot.touch for slot in shown] == expected
    plain = shown_slots([datetime(2026, 3, 29, 1, tzinfo=UTC)], "every 1h", since)
    assert [slot.touch for slot in plain] == [""]


async def test_a_secret_param_is_shown_nowhere_and_kept_by_a_form_that_leaves_it(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        form = CRONTAB | {
            "job": "shop.orders",
            "label": "s",
            "param.key": '"hunter2"',
            "do": "save",
        }
        assert (await posted(web, "new", form)).status_code == 303
        path = "/console/schedules/shop.orders%40s"
        form = fields_in((await web.get(f"{path}/change")).text)
        assert form["param.key"] == '"***"'
        form |= {"minute": "31", "param.number": "4"}
        for text in ((await web.get(path)).text, (await web.get("/console/schedules")).text):
            assert "hunter2" not in text
        seen = await posted(web, "shop.orders@s/change", form | {"param.key": '"swordfish"'})
        shown = seen.text[seen.text.index('id="preview"') :]
        assert "hunter2" not in seen.text
        assert "swordfish" not in shown
        saved = await posted(web, "shop.orders@s/change", form, do="save")
        assert saved.status_code == 303, unescape(saved.text)
        async with sereno.database() as connection:
            kept = await connection.fetchval(
                "SELECT v.params FROM sereno.schedule s JOIN sereno.schedule_version v"
                " ON v.schedule_id = s.id AND v.version = s.version WHERE s.name = 'shop.orders@s'"
            )
        assert (kept["key"], kept["number"]) == ("hunter2", 4)
        assert "hunter2" not in (await web.get(path)).text


async def test_nobody_waits_for_a_load_that_is_counted_anew(
    serve: Serve, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(*JOBS), Client.open(database) as sereno:
        first = await coming_load.load_to_come(sereno)
        assert await coming_load.load_to_come(sereno) is first
        monkeypatch.setattr(coming_load, "_FRESH_SECONDS", 0.0)
        assert await coming_load.load_to_come(sereno) is first  # and is counted beside it
        newer = await coming_load._KEPT[sereno].task
        assert newer.since > first.since
        monkeypatch.setattr(coming_load, "_FRESH_SECONDS", 60.0)
        assert await coming_load.load_to_come(sereno) is newer
        monkeypatch.setattr(coming_load, "_FRESH_SECONDS", 0.0)
        monkeypatch.setattr(coming_load, "_STALE_SECONDS", 0.0)
        assert (await coming_load.load_to_come(sereno)).since > newer.since
