"""Management commands as jobs."""

import pytest
from bookshop.sereno_jobs import greet

from sereno import DeclarationError, FinalError
from sereno.testing import run_context, run_job
from sereno_django import command_job
from sereno_django.commands import run_command


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines since it was asked last."""
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


async def test_any_command_runs_with_arguments_and_options(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    done = await run_job(
        run_command, {"command": "greet", "args": ["bob"], "options": {"loud": True}}
    )
    assert (done.state, done.result) == (
        "succeeded",
        {"command": "greet", "lines": 2, "returned": None},
    )
    assert said(caplog) == ["hello bob!", "it is late", "and good night"]


async def test_a_job_of_one_command_takes_more_from_its_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    await run_job(greet)
    assert said(caplog)[0] == "hello ana!"
    await run_job(greet, {"options": {"loud": False}})
    assert said(caplog)[0] == "hello ana"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"command": "greed"}, "there is no management command 'greed', did you mean 'greet'?"),
        ({"command": "greet", "args": ["a"], "options": {"lout": 1}}, "Unknown option"),
        ({"command": "greet"}, "the following arguments are required: name"),
    ],
)
def test_what_no_attempt_mends_is_final(params: dict[str, object], error: str) -> None:
    with pytest.raises(FinalError, match=error.replace("?", r"\?")):
        run_command.function(run_context(run_command, params))


async def test_a_command_that_fails_fails_its_run() -> None:
    failed = await run_job(run_command, {"command": "greet", "args": ["nobody"]})
    assert (failed.state, str(failed.error)) == ("failed", "there is nobody")
    ended = await run_job(run_command, {"command": "greet", "args": ["exit"]})
    assert (ended.state, str(ended.error)) == ("failed", "command 'greet' ended with 3")


def test_a_job_of_a_command_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'clearsessions'"):
        command_job("shop.clear", "clearsession")
