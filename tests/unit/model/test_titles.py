"""Titles, owners, links and tags are texts that people can see and browsers may follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import RunContext, cron, job, schedule
from sereno.model.errors import DeclarationError, ParamsError
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.text import visible_line
from sereno.model.titles import checked_runbook, checked_tags, checked_title


@pytest.mark.parametrize(
    "title", ["Facturas 🧾", "日本語の仕事", "عمل", "👩‍👩‍👧", "é", "Ω" * 200, " blank at its ends "]
)
def test_a_title_is_of_any_script(title: str) -> None:
    assert checked_title(title, "title", "x") == title.strip()


@pytest.mark.parametrize("title", ["a\nb", "\x1b[31mred", "\u202eflipped", "x" * 201, "\ud800", 7])
def test_a_title_that_cannot_be_seen_or_kept_is_refused(title: object) -> None:
    with pytest.raises(DeclarationError, match="job 'a': title"):
        checked_title(title, "title", "job 'a'")


@pytest.mark.parametrize("link", ["https://w.example.com/a?b=c#d", "http://wiki/x", "HTTPS://W/x"])
def test_a_runbook_is_a_link(link: str) -> None:
    assert checked_runbook(link, "x") == link


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "JavaScript://x/%0aalert(1)", "data:text/html,x", "//wiki/x", "wiki/x",
     "https://", "https:///x", "http://a b", "https://u:pw@wiki/x", "https://u@wiki/x",
     "https://[::1", "https://w/" + "x" * 2_000, "ftp://x/y", "https://w/\u202ex", 7],
)  # fmt: skip
def test_a_runbook_that_a_browser_must_not_follow_is_refused(link: object) -> None:
    with pytest.raises(DeclarationError, match="job 'a': runbook"):
        checked_runbook(link, "job 'a'")


@given(st.text(max_size=80))
def test_what_is_taken_as_a_link_begins_with_http_and_holds_nothing_unseen(text: str) -> None:
    for link in (text, f"https://{text}", f"javascript:{text}"):
        try:
            found = checked_runbook(link, "x")
        except DeclarationError:
            continue
        assert found == "" or found.lower().startswith(("http://", "https://"))
        assert visible_line(found) == found
        assert not found.count(" ")


@given(st.lists(st.text(max_size=70), max_size=25))
def test_tags_are_in_order_each_once_or_refused(tags: list[str]) -> None:
    try:
        found = checked_tags(tags, "x", ParamsError)
    except ParamsError:
        return
    assert list(found) == sorted(set(tags))
    assert len(found) <= 20
    assert all(0 < len(tag) <= 60 and tag == tag.strip() for tag in found)


@pytest.mark.parametrize("tags", ["nightly", 7, [""], ["a "], ["x" * 61], [7], map(str, range(21))])
def test_what_is_no_list_of_tags_is_refused(tags: object) -> None:
    with pytest.raises(DeclarationError, match="job 'a'"):
        checked_tags(tags, "job 'a'")


def test_a_job_and_a_schedule_hold_what_is_declared() -> None:
    @job(
        "a.b",
        title="Facturas 🧾",
        owner="accounts",
        runbook="https://wiki.example.com",
        tags=["b", "a", "b"],
        schedule=schedule(cron("0 8 * * *"), title="Morning", tags=["early"]),
    )
    async def found(run: RunContext) -> None: ...

    found.check()
    assert (found.title, found.owner, found.tags) == ("Facturas 🧾", "accounts", ("a", "b"))
    spec = ScheduleSpec.of(found.schedules[0])
    assert ScheduleSpec.from_json(spec.to_json(), {}) == spec
    assert (spec.title, spec.tags) == ("Morning", ("early",))


def test_a_job_with_a_link_that_is_none_is_refused_as_it_is_declared() -> None:
    with pytest.raises(DeclarationError, match=r"job 'a.b': runbook is 'javascript:x'"):

        @job("a.b", runbook="javascript:x")
        async def found(run: RunContext) -> None: ...


def test_a_schedule_that_says_nothing_new_is_kept_as_versions_before_kept_it() -> None:
    assert set(ScheduleSpec.of(schedule(cron("0 8 * * *"))).to_json()) == {
        "trigger", "params", "starts_at", "ends_at", "jitter", "policies", "enabled"
    }  # fmt: skip
