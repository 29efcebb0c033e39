"""After which errors there is another attempt."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import ConfigurationError, DeclarationError, FinalError, Retry, job, retry
from sereno.model.policies import Policies
from sereno.model.schedule import schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.triggers import every


class OfflineError(ConnectionError):
    """One of a plugin's own."""


def test_without_a_word_every_error_is_tried_again_but_those_that_are_always_final() -> None:
    assert not Retry().is_final(KeyError("x"))
    assert Retry().is_final(FinalError("x"))
    assert Retry().is_final(ConfigurationError("x"))


def test_with_on_only_those_errors_and_their_subclasses_are_tried_again() -> None:
    rule = retry(3, on=(ConnectionError, TimeoutError))

    assert not rule.is_final(ConnectionResetError())
    assert not rule.is_final(OfflineError())
    assert not rule.is_final(TimeoutError())
    assert rule.is_final(KeyError())


def test_final_wins_over_on() -> None:
    rule = retry(3, on=OSError, final=PermissionError)

    assert not rule.is_final(OSError())
    assert rule.is_final(PermissionError())


def test_a_name_stands_for_a_class_wherever_it_is_offered() -> None:
    assert not retry(2, on=f"{__name__}.OfflineError").is_final(OfflineError())
    assert not retry(2, on="asyncio.TimeoutError").is_final(TimeoutError())
    assert not retry(2, on="sereno.DeclarationError").is_final(DeclarationError("x"))
    assert not retry(2, on=("builtins.OSError",)).is_final(OfflineError())
    assert retry(2, on="nowhere.to.be.Found").is_final(OfflineError())


def test_a_class_inside_a_function_is_known_by_itself() -> None:
    class LocalError(Exception):
        pass

    assert not retry(2, on=LocalError).is_final(LocalError())


def test_a_group_is_final_by_one_of_its_errors_and_retried_by_all_of_them() -> None:
    rule = retry(3, on=OSError, final=PermissionError)

    assert not rule.is_final(ExceptionGroup("g", [OSError(), ExceptionGroup("h", [OSError()])]))
    assert rule.is_final(ExceptionGroup("g", [OSError(), KeyError()]))
    assert rule.is_final(ExceptionGroup("g", [OSError(), PermissionError()]))
    assert not retry(3, on=ExceptionGroup).is_final(ExceptionGroup("g", [KeyError()]))
    assert retry(3, final=ExceptionGroup).is_final(ExceptionGroup("g", [KeyError()]))
    assert Retry().is_final(ExceptionGroup("g", [KeyError(), FinalError()]))


def test_a_group_of_any_depth_and_width_is_judged_in_bounded_time() -> None:
    deep: Exception = KeyError()
    for _ in range(5_000):
        deep = ExceptionGroup("g", [deep])

    assert retry(2, final=KeyError).is_final(deep)
    wide = ExceptionGroup("g", [OSError()] * 200_000)
    assert not retry(2, on=OSError).is_final(wide)


def test_no_code_of_an_error_s_own_is_called() -> None:
    class Trap(type):
        def __instancecheck__(cls, instance: object) -> bool:
            raise SystemExit

        def __eq__(cls, other: object) -> bool:
            raise SystemExit

        def __hash__(cls) -> int:
            raise SystemExit

        def mro(cls) -> list[type]:
            return list(super().mro())

    class TrapError(OSError, metaclass=Trap):
        __module__ = 7  # type: ignore[assignment]

        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise SystemExit

    assert not retry(2, on=(OSError, "a.b.C"), final="asyncio.QueueFull").is_final(TrapError())
    assert retry(2, on=asyncio.QueueFull).is_final(TrapError())


@given(st.text())
def test_any_text_is_a_name_or_gets_a_sentence(text: str) -> None:
    try:
        rule = retry(2, on=text)
    except DeclarationError as error:
        assert str(error).startswith("retry: on names ")  # noqa: PT017 - some texts are names
    else:
        rule.is_final(KeyError())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"on": "ConectionError"}, "did you mean 'ConnectionError'"),
        ({"on": "HTTPError"}, "any other is named with its module, as 'httpx.TransportError'"),
        ({"final": ["httpx..Error"]}, "retry: final names 'httpx..Error', it must be the name of"),
        ({"final": [int]}, "retry: final names <class 'int'>, which is no class of errors"),
        ({"on": 3}, "retry: on is 3, it must be classes of errors or their names"),
        ({"on": {"OSError": 1}}, "it must be classes of errors or their names"),
        ({"on": FinalError}, "which is never tried again"),
        ({"on": "sereno.ConfigurationError"}, "which is never tried again"),
        ({"on": ["OSError", None]}, "retry: on names None, which is no class of errors"),
        ({"on": [f"m{n}.E" for n in range(51)]}, "retry: on names 51 errors, at most 50"),
        ({"final": "x." + "y" * 400}, "it must be the name of a class"),
    ],
)
def test_what_is_no_error_is_refused_with_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        Retry(attempts=2, **given)
    assert sentence in str(refusal.value)
    with pytest.raises(DeclarationError) as refusal:
        Policies().changed({"retry": {"attempts": 2, **given}}, "job 't.x'")
    assert str(refusal.value).startswith("job 't.x': retry: ")


def test_a_rule_goes_through_json_and_is_the_same() -> None:
    rule = retry(4, on=(OSError, OfflineError), final="httpx.HTTPStatusError")
    names = {
        "on": ["OSError", f"{__name__}.OfflineError"],
        "final": ["httpx.HTTPStatusError"],
    }

    held = Policies(retry=rule).to_json()
    assert {k: held["retry"][k] for k in names} == names
    assert Policies().changed({"retry": held["retry"]}).retry == rule
    spec = ScheduleSpec.of(schedule(every("1h"), retry=rule)).to_json()
    assert spec["policies"]["retry"]["on"] == names["on"]
    assert msgspec.json.decode(msgspec.json.encode(rule), type=Retry) == rule


def test_who_names_no_error_writes_what_older_versions_read() -> None:
    plain = {"attempts", "delay", "factor", "max_delay", "jitter"}

    assert set(Policies(retry=retry(3)).to_json()["retry"]) == plain
    assert set(Policies(retry=retry(3, on=(), final=[])).to_json()["retry"]) == plain


def test_a_job_says_it_in_its_declaration() -> None:
    @job("t.x", retry={"attempts": 3, "on": [OSError], "final": "PermissionError"})
    async def x(run: Any) -> None:
        """Do nothing."""

    assert x.policies.retry.on == ("OSError",)
    assert x.policies.retry.final == ("PermissionError",)
