"""The text in which config, database, command line and API speak of triggers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from sereno import triggers
from sereno.model.errors import TriggerError
from sereno.triggers import (
    Arguments,
    Trigger,
    any_of,
    cron,
    every,
    except_on,
    jitter,
    kinds,
    learn_when_asked,
    once,
    parse,
    register_kind,
    within,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("cron 0 8 * * * Europe/Madrid", cron("0 8 * * *", "Europe/Madrid")),
        ("cron: 0 8 * * * Europe/Madrid", cron("0 8 * * *", "Europe/Madrid")),
        ("cron 0 0 8 * * * Europe/Madrid", cron("0 0 8 * * *", "Europe/Madrid")),
        ("cron 0 0 8 * * MON", cron("0 0 8 * * MON")),
        ("cron 0 0 8 * * 5L", cron("0 0 8 * * 5L")),
        ("0 0 8 * * monday", cron("0 0 8 * * MON")),
        ("cron 0 8 * * FRI-MON EST", cron("0 8 * * FRI-MON", "EST")),
        ("cron 0 8 * * * tz=Asia/Tokyo gap=run", cron("0 8 * * *", "Asia/Tokyo", gap="run")),
        ("cron @daily", cron("@daily")),
        ("0 8 * * *", cron("0 8 * * *")),
        ("*/5 * * * * * UTC", cron("*/5 * * * * *")),
        ("@daily Europe/Madrid fold=last", cron("@daily", "Europe/Madrid", fold="last")),
        ("every 6h", every("6h")),
        ("EVERY: 6h", every("6h")),
        ("every:6h", every("6h")),
        ("6h", every("6h")),
        ("1d12h anchor=2026-01-01T00:00Z", every("1d12h", "2026-01-01T00:00Z")),
        ("once 2026-01-01T12:00:00Z", once(NOON)),
        ("once 2026-01-01T13:00 Europe/Madrid", once(NOON)),
        ("any_of (0 8 * * *)(6h)", any_of(cron("0 8 * * *"), every("6h"))),
        ("  any_of ( every 6h )\n ( any_of (5h) )", any_of(every("6h"), every("5h"))),
        ("except_on (6h) 2026-12-25 tz=Asia/Tokyo",
         except_on(every("6h"), "2026-12-25", tz="Asia/Tokyo")),
        ("except_on (6h) (@yearly)", except_on(every("6h"), cron("@yearly"))),
        ("within (6h) end=2027-01-01T00:00Z", within(every("6h"), end="2027-01-01T00:00Z")),
        ("within (@daily Asia/Tokyo) start=2027-01-01",
         within(cron("@daily", "Asia/Tokyo"), start="2026-12-31T15:00Z")),
        ("jitter (6h) 5m", jitter(every("6h"), "5m")),
        ('jitter (6h) 5m key="a \\"b\\" (c)"', jitter(every("6h"), "5m", 'a "b" (c)')),
    ],
)  # fmt: skip
def test_a_text_is_read_as_its_trigger(text: str, trigger: Trigger) -> None:
    assert parse(text) == trigger


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        (cron("0 8 * * mon"), "cron 0 8 * * MON UTC"),
        (
            cron("@daily", "Europe/Madrid", gap="skip", fold="both"),
            "cron @daily Europe/Madrid gap=skip fold=both",
        ),
        (every("90m"), "every 1h30m"),
        (every("6h", NOON), "every 6h anchor=2026-01-01T12:00:00Z"),
        (once(NOON + timedelta(milliseconds=1)), "once 2026-01-01T12:00:00.001000Z"),
        (any_of(every("5h"), every("6h")), "any_of (every 5h) (every 6h)"),
        (
            except_on(every("6h"), cron("@yearly"), "2026-12-25", "2026-01-06"),
            "except_on (every 6h) 2026-01-06 2026-12-25 (cron @yearly UTC) tz=UTC",
        ),
        (
            within(every("6h"), start=NOON, end="2027-01-01T00:00+01:00"),
            "within (every 6h) start=2026-01-01T12:00:00Z end=2026-12-31T23:00:00Z",
        ),
        (jitter(every("6h"), "5m", "etl_ivr.sync"), "jitter (every 6h) 5m key=etl_ivr.sync"),
        (jitter(every("6h"), "5m", "a b"), 'jitter (every 6h) 5m key="a b"'),
    ],
)
def test_a_trigger_is_written_in_one_way(trigger: Trigger, text: str) -> None:
    assert trigger.text == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "trigger '': it is empty; write it like 'cron 0 8 "),
        ("()", "it is empty"),
        ("evry 6h", "trigger 'evry 6h': unknown kind 'evry', did you mean 'every'"),
        ("twilight", "unknown kind 'twilight'; the kinds are cron, every, once, any_of"),
        ("0 8 * *", "it has 4 fields, it must have 5"),
        ("0 8 * * Europe/Madrid", "it has 4 fields, it must have 5"),
        ("every", "trigger 'every': it has 0 of the 1 words that it needs"),
        ("every 6h 7h", "'7h' is one word too many"),
        ("every (6h)", "it takes no other trigger in parentheses"),
        ("every 6h ancor=2026-01-01T00:00Z", "unknown option 'ancor', did you mean 'anchor'"),
        ("every 6h anchor=1h anchor=2h", "option 'anchor' is given twice"),
        ("once 2026-01-01T00:00Z x=1", "unknown option 'x'; it knows none"),
        ("cron 0 8 * * * Europe/Madird", "did you mean 'Europe/Madrid'"),
        ("any_of (6h) 7h", "'7h' is one word too many"),
        ("any_of (6h", "a parenthesis is not closed"),
        ("any_of (6h))", "a parenthesis is closed that was never opened"),
        ("within start=2026-01-01", "it has 0 triggers in parentheses, it needs one"),
        ("jitter (6h) (7h) 5m", "it has 2 triggers in parentheses, it needs one"),
        ("except_on 2026-01-01", "it has 0 triggers in parentheses"),
        ('jitter (6h) 5m key="a', "it cannot be read from"),
        ('jitter (6h) 5m key="\\x"', "is not a quoted text; escape as JSON does"),
        ("any_of " + "(any_of " * 20 + "(6h)" + ")" * 20, "more than 16 deep"),
        ("any_of " + "(6h) " * 20_000, "it has 100007 characters, the limit is 65536"),
        (None, "it must be text, as in 'every 6h'"),
        (b"6h", "it must be text"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(TriggerError, match=sentence.replace("(", r"\(")) as caught:
        parse(text)
    assert len(str(caught.value)) < 300


def test_each_example_in_the_docstring_of_the_package_is_true() -> None:
    lines = [line.split("  #")[0] for line in (triggers.__doc__ or "").splitlines()]
    examples = [line for line in lines if line.startswith("    ") and ":=" not in line]
    own = {"cron", "every", "once", "any_of", "except_on", "only_on", "within", "jitter"}
    assert {parse(example).text.split()[0] for example in examples} == own
    assert own <= set(kinds())  # plugins may have added theirs


@dataclass(frozen=True, slots=True)
class Tide(Trigger):
    """A plugin's kind of trigger."""

    port: str

    def next_after(self, instant: datetime) -> datetime:
        return instant + timedelta(hours=12, minutes=25)

    @property
    def text(self) -> str:
        return f"tide {self.port}"


def parse_tide(arguments: Arguments) -> Tide:
    (port,) = arguments.plain(1, 1)
    arguments.only()
    return Tide(port)


@pytest.fixture(autouse=True)
def _forget_the_tide() -> Iterator[None]:
    yield
    triggers.registry._kinds.pop("tide", None)


def test_a_plugin_adds_a_kind_that_can_be_written_read_and_joined() -> None:
    register_kind("tide", parse_tide)
    register_kind("tide", parse_tide)  # a plugin loaded twice
    trigger = parse("jitter (any_of (tide Vigo) (6h)) 5m")
    assert trigger == jitter(any_of(Tide("Vigo"), every("6h")), "5m")
    assert parse(trigger.text) == trigger
    assert "tide" in kinds()
    with pytest.raises(TriggerError, match="trigger 'tide': 'Cádiz' is one word too many"):
        parse("tide Vigo Cádiz")


def test_a_kind_has_one_parser() -> None:
    register_kind("tide", parse_tide)
    for name in ("tide", "cron"):
        with pytest.raises(
            TriggerError, match="another parser has that name; choose a name of your"
        ):
            register_kind(name, lambda arguments: Tide("Vigo"))


@pytest.mark.parametrize("name", ["", "Sun", "2x", "sun-rise", "a b", "x" * 40])
def test_a_kind_s_name_is_a_plain_word(name: str) -> None:
    with pytest.raises(TriggerError, match="a name is small letters, digits and _, as in 'sun'"):
        register_kind(name, parse_tide)


def test_more_kinds_are_learnt_once_a_text_names_one_that_is_not_known() -> None:
    asked = []

    def teach() -> None:
        asked.append(True)
        register_kind("moon", lambda arguments: every("28d"))

    learn_when_asked(teach)
    parse("0 8 * * *")
    assert not asked
    assert parse("moon") == every("28d")
    with pytest.raises(TriggerError, match="unknown kind 'star'"):
        parse("star")
    assert asked == [True]
