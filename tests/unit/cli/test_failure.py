from typing import Any

import click
import pytest
from click.testing import CliRunner

from sereno.cli.failure import reported
from sereno.cli.invocation import Invocation
from sereno.model import errors
from sereno.observe.complaint import exit_code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ConfigurationError, 2),
        (errors.TriggerError, 2),
        (errors.DeclarationError, 2),
        (errors.ParamsError, 2),
        (errors.NotFoundError, 2),
        (errors.PoolerError, 2),
        (errors.ClusterError, 2),
        (errors.PluginError, 1),
        (errors.StoreError, 1),
        (errors.StoreUnavailableError, 1),
        (errors.SchemaError, 1),
        (errors.LeaseLostError, 1),
        (errors.EmbeddedError, 1),
    ],
)
def test_two_means_change_the_call_and_one_means_it_may_work_later(kind: Any, code: int) -> None:
    assert exit_code(kind("no")) == code


def failing(error: BaseException, *args: str) -> Any:
    @click.command()
    @click.option("--debug", is_flag=True)
    def command(debug: bool) -> None:
        with reported(Invocation(debug=debug)):
            raise error

    return CliRunner().invoke(command, args)


def test_an_error_is_one_sentence_on_stderr_without_its_secrets() -> None:
    result = failing(errors.StoreError("postgresql://me:hunter2@db/app said no"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "sereno: postgresql://me:***@db/app said no\n"


def test_each_line_of_several_faults_is_marked() -> None:
    result = failing(errors.ConfigurationError("one is wrong\ntwo is wrong"))
    assert result.stderr == "sereno: one is wrong\nsereno: two is wrong\n"


def test_a_fault_of_ours_names_itself_and_how_to_see_more() -> None:
    result = failing(KeyError("x"))
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "sereno: KeyError: 'x'; that is a fault of sereno or of a plugin"
    )
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_with_130() -> None:
    result = failing(KeyboardInterrupt())
    assert (result.exit_code, result.output) == (130, "\n")


@pytest.mark.parametrize("error", [errors.StoreError("no"), KeyError("x")])
def test_debug_lets_the_traceback_out(error: Exception) -> None:
    assert failing(error, "--debug").exception is error


def test_a_usage_error_becomes_a_sentence_of_ours() -> None:
    result = failing(click.UsageError("No such thing."))
    assert (result.exit_code, result.stderr) == (2, "sereno: No such thing\n")
