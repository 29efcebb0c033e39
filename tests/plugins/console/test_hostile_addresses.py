"""Whatever stands in the address of a page, it is answered, and in a sentence where it is wrong."""

import pytest

from .conftest import Serve
from .shop import JOBS, at_work, done

ASKED = {
    "": ("zone", "language", "theme"),
    "jobs": ("q", "cursor"),
    "jobs/{text}": (),
    "jobs/shop.orders/ledger": ("until", "hour", "schedule"),
    "jobs/shop.orders/why": ("at",),
    "schedules": ("text", "job", "state", "tag", "cursor"),
    "schedules/{text}": (),
    "schedules/new": ("job",),
    "load": ("hour",),
    "rehearsal": ("days", "pace", "threads", "schedule", "trigger"),
    "runs": ("q", "cursor"),
    "runs/{text}": (),
    "runs/{run}": ("level",),
    "runs-changed": ("before",),
    "runs-changed/{text}": (),
    "runs-to-change": ("q", "action"),
    "logs": ("job", "level", "text", "since", "until", "cursor"),
    "cluster": ("before",),
    "changes": ("subject", "by", "cursor"),
    "changes/export": ("subject", "by", "format"),
    "proof": ("span",),
    "search": ("q",),
    "people/trail": ("before", "after"),
    "people/users/{text}": (),
    "static/{text}": (),
}
TEXTS = {
    "more digits than Python reads": "9" * 5_000,
    "the greatest number": "9223372036854775807",
    "beyond it": "9223372036854775808",
    "other digits": "%D9%A3%C2%B2",
    "below none": "-1",
    "no text": "%00%FF%ED%A0%80",
    "markup": "%3Cscript%3Ealert(1)%3C/script%3E",
    "long": "a" * 5_000,
    "deep": "(" * 2_000,
    "the first instant": "0001-01-01T00:00",
    "the last instant": "9999-12-31T23:59:59Z",
    "a pattern of patterns": "%2A%3F%5B" * 60,
    "a quote": "job:%22%27%5C",
    "part of a path": "..%2F..%2Fetc%2Fpasswd",
}


@pytest.mark.timeout(120)
async def test_whatever_stands_in_an_address_is_answered(serve: Serve, database: str) -> None:
    wrong = []
    async with at_work(database), serve(*JOBS) as web:
        run = (await done(web, "shop.orders"))["id"]
        for path, names in ASKED.items():
            at = f"/console/{path}".replace("{run}", str(run))
            for what, text in TEXTS.items():
                asked = [f"{at}?{name}={text}" for name in names] or [at.replace("{text}", text)]
                for address in asked:
                    answer = await web.get(address)
                    if answer.status_code >= 500 or "<script>alert" in answer.text:
                        wrong.append((address[:80], what, answer.status_code))
    assert wrong == []


async def test_a_number_that_no_run_can_have_confirms_nothing(serve: Serve, database: str) -> None:
    async with at_work(database), serve(*JOBS) as web:
        for typed in ("9" * 5_000, "\u0663", "1e3", "-1", ""):
            form = {"action": "retry", "q": "job:shop.bad", "expect": typed, "reason": "x"}
            answer = await web.post("/console/runs-to-change", data=form)
            assert (answer.status_code, "type the number" in answer.text) == (400, True), typed
