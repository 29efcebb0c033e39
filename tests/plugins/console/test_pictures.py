"""Pictures that the server draws: chains, attempts, terms; and policies in words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import ParamsError, RunDetail, RunView, TermView
from sereno.model.policies import Policies
from sereno_console.pages.attempt_chart import WIDTH, attempt_chart
from sereno_console.pages.chain_graph import chain_graph
from sereno_console.pages.params_form import check_written
from sereno_console.pages.policy_words import policy_sentences
from sereno_console.pages.run_links import run_links
from sereno_console.pages.term_chart import WIDTH as TERMS_WIDTH
from sereno_console.pages.term_chart import term_chart
from sereno_console.settings import Settings

from .test_pages import told

BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)


def run(number: int, **more: Any) -> RunView:
    given = {"job": f"shop.job{number}", "state": "succeeded", "cause": "chain", "priority": 0}
    times = {"attempt": 1, "run_at": BEGAN, "queued_at": BEGAN}
    return RunView(id=number, **{**given, **times, **more})


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 14)), max_size=30))
def test_no_two_runs_of_a_chain_stand_in_one_place(links: list[tuple[int, int]]) -> None:
    found = chain_graph([run(n) for n in range(1, 13)], links)
    places = {(box.x, box.y) for box in found.boxes}
    assert len(places) == len(found.boxes) == 12
    known = {(a, b) for a, b in links if a != b and b <= 12}
    assert len(found.lines) == len(known)
    assert sum(map(len, found.followed.values())) == len(known)
    for box in found.boxes:
        assert 0 <= box.x < found.width
        assert 0 <= box.y < found.height


def test_a_run_stands_behind_all_that_it_followed() -> None:
    found = chain_graph([run(n) for n in (1, 2, 3, 4)], [(1, 2), (2, 3), (1, 3), (1, 4)])
    at = {box.run.id: box for box in found.boxes}
    assert at[1].x < at[2].x < at[3].x
    assert at[4].x == at[2].x
    rows = {at[2].y, at[4].y}
    (around,) = [line for line in found.lines if "H" in line]  # 1 to 3 goes around both
    assert len(rows) == 2
    assert found.height > max(rows)
    assert not any(f" {row + 23}H" in around for row in rows)


def detail(**more: Any) -> RunDetail:
    shown = run(1, started_at=BEGAN + timedelta(seconds=9), attempt=2, **more)
    of = {name: getattr(shown, name) for name in shown.__struct_fields__}
    ended = {"attempt": 1, "state": "failed", "started_at": BEGAN + timedelta(seconds=1)}
    attempts = [{**ended, "finished_at": BEGAN + timedelta(seconds=4)}]
    return msgspec.convert(
        {
            **of,
            "now": BEGAN + timedelta(seconds=20),
            "losses": 0,
            "params": {},
            "attempts": attempts,
        },
        RunDetail,
    )


def test_attempts_and_what_they_waited_fill_the_line_of_time() -> None:
    found = attempt_chart(detail(finished_at=BEGAN + timedelta(seconds=10)))
    assert found is not None
    assert [(b.attempt, b.state) for b in found.bars] == [
        *((0, "waiting"), (1, "failed"), (0, "waiting"), (2, "succeeded"))
    ]
    assert (found.begins, found.ends) == (BEGAN, BEGAN + timedelta(seconds=10))
    assert [bar.x for bar in found.bars] == [0.0, 96.0, 384.0, 864.0]
    running = attempt_chart(detail(state="running"))
    assert running is not None
    assert running.ends == BEGAN + timedelta(seconds=20)
    assert all(bar.x + bar.width <= WIDTH + 0.1 for bar in running.bars)
    assert attempt_chart(RunDetail(**_plain(run(1)), now=BEGAN, losses=0, params={})) is None


def _plain(view: RunView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__struct_fields__}


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 10_000)), min_size=1, max_size=30))
def test_every_term_has_a_bar_within_the_picture(terms: list[tuple[int, int]]) -> None:
    at, shown = BEGAN, []
    for number, (node, seconds) in enumerate(terms, 1):
        shown.append(TermView(term=number, node=UUID(int=node), acquired_at=at, label=f"n{node}"))
        at += timedelta(seconds=seconds)
    found = term_chart(shown[::-1], at)
    assert found is not None
    assert len(found.bars) == len(terms)
    assert len(found.lanes) <= 8
    assert all(bar.x + bar.width <= TERMS_WIDTH + 0.2 for bar in found.bars)
    assert all(0 <= bar.y < found.height for bar in found.bars)


def test_every_policy_says_something_or_has_no_words_on_purpose() -> None:
    silent = {"severity", "concurrency_limit", "unique_by", "keep_result", "log_level"}
    some = Policies(
        timeout=timedelta(minutes=5),
        start_by=timedelta(minutes=5),
        max_running=2,
        max_catch_up=3,
        concurrency_key="a",
        priority=3,
        memory_limit_mb=64,
        stalled_after=timedelta(minutes=1),
        keep_for=timedelta(days=3),
        keep_runs=4,
        min_interval=timedelta(minutes=1),
        unique_for=timedelta(minutes=1),
        overdue_after=timedelta(hours=2),
        scope="host",
    )
    for language in ("language=en", "language=es"):
        said = policy_sentences(told(language), some.to_json())
        assert {s.name for s in said} | silent == set(Policies.__struct_fields__)
        assert not [s for s in said if "%(" in s.text]


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        ({"key": "***"}, {"key": "***"}),
        ({"key": "***"}, {}),
        ({"a": {"key": "***"}}, {"a": {"key": "***"}}),
        ({"a": [{"key": "***"}]}, {"a": [{"key": "***"}]}),
    ],
)
def test_a_secret_that_was_not_written_again_is_not_sent(shown: Any, given: Any) -> None:
    with pytest.raises(ParamsError, match="is secret, and its value was not kept"):
        check_written(shown, given)
    check_written(shown, {"key": "x", "a": "y"})


def test_a_run_is_linked_to_where_its_logs_and_traces_are() -> None:
    chosen = Settings(
        links={
            "Logs": "https://logs.example.com/q?a={run}&b={job}&c={since}",
            "Trace": "https://t.example.com/{trace}",
            "Here": "/grafana/{node}",
        }
    )
    shown = detail(finished_at=BEGAN + timedelta(seconds=10))
    assert run_links(chosen.links, shown) == [
        ("Logs", "https://logs.example.com/q?a=1&b=shop.job1&c=2026-03-01T07%3A59%3A09%2B00%3A00")
    ]
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    traced = msgspec.structs.replace(shown, trace_context=trace, node='a/b?"<{run}', job="a b")
    assert dict(run_links(chosen.links, traced)) == {
        "Logs": "https://logs.example.com/q?a=1&b=a%20b&c=2026-03-01T07%3A59%3A09%2B00%3A00",
        "Trace": f"https://t.example.com/{'ab' * 16}",
        "Here": "/grafana/a%2Fb%3F%22%3C%7Brun%7D",
    }


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//evil", "ftp://a", "https://{job}/x", "/a{runs}", "/a b"]
)
def test_what_is_no_address_of_runs_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="links: 'a'"):
        Settings(links={"a": address})
