"""Who comes from another scheduler is told what a policy is called here."""

from typing import Any

import pytest

from sereno import DeclarationError, every, job, retry, schedule
from sereno.model.policies import Policies

ATTEMPTS = "attempts count the first one too: max_retries=3 is retry=4, or attempts=4"


@pytest.mark.parametrize("name", ["retries", "max_retries"])
def test_attempts_are_told_from_retries_wherever_one_writes_them(name: str) -> None:
    said: dict[str, Any] = {name: 3}
    with pytest.raises(DeclarationError, match=ATTEMPTS):
        job("t.mail", **said)
    with pytest.raises(DeclarationError, match=ATTEMPTS):
        schedule(every("1h"), **said)
    for table in (said, {"retry": said}):
        with pytest.raises(DeclarationError, match=ATTEMPTS):
            Policies().changed(table, "[jobs.x]")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("expires", "`start_by`"),
        ("ignore_result", "keep_result=False"),
        ("misfire_grace_time", "`grace`"),
        ("max_instances", "`max_running`"),
        ("soft_time_limit", "`timeout`"),
        ("overlapp", "did you mean 'overlap'?"),
    ],
)
def test_names_of_others_are_told_in_ours(name: str, told: str) -> None:
    with pytest.raises(DeclarationError, match="unknown key") as caught:
        job("t.mail", **{name: 1})  # type: ignore[call-overload]
    assert told in str(caught.value)


def test_a_number_of_attempts_counts_the_first() -> None:
    assert retry(3).wait(3, 0.5) is None
    assert retry(3).wait(2, 0.5) is not None
