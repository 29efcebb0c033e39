import json
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno_reports.call import OUTCOMES, Call
from sereno_reports.day import BusinessDay
from sereno_reports.figures import Facts, Figures, together
from sereno_reports.tally import Tally

DAY = BusinessDay(date(2026, 11, 17), "Europe/Madrid")


def call(minute: int = 600, length: int = 60, **known: Any) -> Call:
    return Call(started_at=DAY.start + timedelta(minutes=minute), length=length, **known)


def figures(*calls: Call, level: int = 20) -> Figures:
    tally = Tally(DAY, level, 5)
    for one in calls:
        tally.add(one)
    return tally.figures()


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        ({"answered": True, "reached": True}, "answered"),
        ({"answered": True, "reached": True, "voicemail": True}, "answered"),
        ({"reached": True}, "abandoned"),
        ({"reached": True, "length": 5}, "short"),
        ({"reached": True, "length": 6}, "abandoned"),
        ({"reached": True, "voicemail": True}, "overflow"),
        ({"voicemail": True}, "other"),
        ({"rejected": True}, "other"),
        ({}, "ivr"),
        ({"answered": True, "outbound": True}, "outbound"),
    ],
)
def test_each_call_has_one_outcome(known: dict[str, Any], outcome: str) -> None:
    assert call(**known).outcome(short_abandon_seconds=5) == outcome


def test_a_ratio_over_nothing_is_none_and_neither_0_nor_1() -> None:
    total = figures(call(), call(outbound=True)).total
    assert (total.calls, total.offered) == (1, 0)
    assert total.answer_rate is None
    assert total.abandon_rate is None
    assert total.service_level is None
    assert total.handling_s is None
    assert total.answer_s is None


def test_the_published_values_of_a_bank_s_call_centre_come_out() -> None:
    # February 1999: 31,125 offered, 27,162 answered, SL(20 s) 52.08 %, ASA 40.8 s, AHT 176.4 s.
    within = round(0.5208 * 31_125)
    facts = Facts(
        answered=27_162,
        abandoned=3_963,
        waits=27_162,
        within=within,
        wait_s=round(40.8 * 27_162),
        talk_s=round(176.4 * 27_162),
    )
    assert facts.offered == 31_125
    assert facts.abandon_rate == pytest.approx(0.1273, abs=5e-5)
    assert facts.service_level == pytest.approx(0.5208, abs=5e-5)
    assert facts.answer_s == pytest.approx(40.8, abs=5e-3)
    assert facts.handling_s == pytest.approx(176.4, abs=5e-3)


def test_ratios_of_several_days_come_from_their_sums_not_from_their_mean() -> None:
    quiet, busy = Facts(answered=1, abandoned=1), Facts(answered=98)
    assert together([quiet, busy]).abandon_rate == 0.01


def test_the_peak_is_the_hour_with_most_offered_the_earliest_of_equals() -> None:
    found = figures(
        *(call(minute, reached=True) for minute in (540, 541, 660, 661)),
        *(call(720) for _ in range(9)),  # IVR only: not offered
    )
    assert found.peak is not None
    assert found.peak.label == "09:00"
    assert figures(call()).peak is None


def test_quantiles_are_waits_that_somebody_had() -> None:
    waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100]
    found = figures(*(call(answered=True, wait=wait) for wait in waits))
    assert (found.wait_p50_s, found.wait_p90_s, found.longest_wait_s) == (5, 9, 100)
    assert figures().wait_p50_s is None


def test_a_wait_that_the_records_do_not_tell_is_left_out_of_the_means() -> None:
    total = figures(
        call(answered=True, wait=10, talk=60), call(answered=True, wait=None, talk=90)
    ).total
    assert (total.answer_s, total.handling_s, total.service_level) == (10, 75, 1)


any_call = st.builds(
    Call,
    started_at=st.integers(0, 24 * 60 - 1).map(lambda m: DAY.start + timedelta(minutes=m)),
    length=st.integers(0, 5000),
    answered=st.booleans(),
    reached=st.booleans(),
    voicemail=st.booleans(),
    rejected=st.booleans(),
    outbound=st.booleans(),
    talk=st.integers(0, 5000),
    wait=st.none() | st.integers(-5, 900),
    queue=st.sampled_from([None, "400", "401"]),
    agent=st.sampled_from([None, "201", "202"]),
)


@given(st.lists(any_call, max_size=60))
def test_hours_add_up_to_the_day_and_no_call_counts_twice(calls: list[Call]) -> None:
    found = figures(*calls)
    assert together(row.facts for row in found.hours) == found.total
    assert sum(getattr(found.total, outcome) for outcome in OUTCOMES) == len(calls)
    for rate in (found.total.answer_rate, found.total.abandon_rate, found.total.service_level):
        assert rate is None or 0 <= rate <= 1


def test_figures_are_what_json_can_hold() -> None:
    found = figures(call(answered=True, wait=3, talk=4, queue="400", agent="201"))
    text = json.dumps(msgspec.to_builtins(found))
    assert msgspec.convert(json.loads(text), Figures) == found
