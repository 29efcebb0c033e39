import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click
import msgspec
import pytest

from sereno import hookimpl
from sereno.cli.command_table import ENTRIES

from .conftest import Call


@pytest.mark.parametrize("name", ENTRIES)
def test_the_catalogue_says_of_each_command_what_it_says_of_itself(name: str, call: Call) -> None:
    command = import_module(f"sereno.cli.{ENTRIES[name].module}").command
    assert command.name == name
    assert call(name, "--help").output.startswith(f"Usage: sereno {name} ")


def test_help_lists_every_command_with_its_summary(call: Call) -> None:
    listed = " ".join(call("--help").output.split())
    for entry in ENTRIES.values():
        assert f"{entry.name} {entry.summary}" in listed


def test_help_imports_none_of_the_commands() -> None:
    code = (
        "import sys; from sereno.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('sereno.cli.jobs', 'sereno.app', 'rich', 'h11')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sereno", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"sereno {version('sereno')}\n"


def test_without_a_command_the_help_is_shown_and_the_code_is_2(call: Call) -> None:
    result = call()
    assert result.exit_code == 2
    assert "Usage: sereno [OPTIONS] COMMAND" in result.output


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["jbos"], "there is no command 'jbos', did you mean 'jobs'?"),
        (["zzz"], "there is no command 'zzz'; `sereno --help` lists them"),
        (["--foo"], "no such option '--foo'; see `sereno --help`"),
        (["jobs", "--foo"], "no such option '--foo'; see `sereno jobs --help`"),
        (["cancel"], "name a run, or say by a filter which runs, as --job 'etl.*'; see `sereno"),
        (["cancel", "x"], "'x' is no number of a run; `sereno runs` lists them"),
        (["cancel", "9" * 30], f"'{'9' * 30}' is no number of a run; `sereno runs` lists them"),
        (
            ["show", "etl"],
            "'etl' is no number of a run; for a job say which slot, as in --at 08:00",
        ),
        (["show", "3", "--at", "08:00"], "--at belongs to a job, and 3 is a run; leave --at out"),
        (["runs", "--limit", "0"], "0 is not in the range 1<=x<=10000"),
        (["runs", "--state", "dead"], "'dead' is not one of 'queued', 'running'"),
        (["verify", "--since", "30"], "a number needs its unit, as in 30s"),
        (["--log-level", "loud", "jobs"], "'loud' is not one of 'debug', 'info'"),
    ],
)
def test_wrong_usage_gets_one_sentence_and_2(args: list[str], sentence: str, call: Call) -> None:
    result = call(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("sereno: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


@pytest.mark.parametrize(
    "args", [["--config", "no.toml", "check"], ["check", "--config", "no.toml"]]
)
def test_global_options_stand_before_or_after_the_command(args: list[str], call: Call) -> None:
    result = call(*args)
    assert result.exit_code == 2
    assert result.stderr == "sereno: no.toml: cannot be read: No such file or directory\n"


def test_a_flag_at_fault_is_named_as_it_was_written(call: Call) -> None:
    result = call("jobs", "--database-url", "mysql://me:hunter2@db/app")
    assert result.exit_code == 2
    assert result.stderr == (
        "sereno: --database-url: database_url is 'mysql://me:***@db/app', "
        "it must be 'embedded' or a URL that begins with postgresql://\n"
    )


@click.command("greet")
@click.pass_obj
def greet(obj: Any) -> None:
    """Greet the database."""
    click.echo(f"hello {obj.database_url}")


@hookimpl
def commands() -> list[click.Command]:
    return [greet]


POLITE = {
    "sereno_register_commands": hookimpl(specname="sereno_register_commands")(lambda: [greet])
}


def test_a_plugin_adds_a_command_that_is_listed_and_knows_the_database(call: Call) -> None:
    plugins = {"polite": POLITE}
    assert "greet  Greet the database." in call("--help", plugins=plugins).output
    url = "postgresql://db/app"
    result = call("--database-url", url, "greet", plugins=plugins)
    assert (result.exit_code, result.output) == (0, f"hello {url}\n")


def hook(function: Any) -> dict[str, Any]:
    return {"sereno_register_commands": hookimpl(specname="sereno_register_commands")(function)}


def broken() -> Any:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("hooks", "remark"),
    [
        (hook(broken), "plugin 'odd': sereno_register_commands: RuntimeError: boom"),
        (hook(lambda: ["greet"]), "plugin 'odd': 'greet' is no click command with a name"),
        (
            hook(lambda: [click.Command("jobs")]),
            "plugin 'odd': the command 'jobs' is sereno's own; rename it",
        ),
    ],
)
def test_a_plugin_whose_commands_fail_loses_them_and_nothing_else(
    hooks: dict[str, Any], remark: str, call: Call
) -> None:
    result = call("--help", plugins={"odd": hooks, "polite": POLITE})
    assert result.exit_code == 0
    assert remark in result.stderr
    assert "greet  Greet the database." in result.stdout


def test_check_fails_where_a_plugin_cannot_say_its_commands(call: Call) -> None:
    result = call("check", plugins={"odd": hook(lambda: 7), "polite": POLITE})
    assert result.exit_code == 1
    assert "plugin 'odd': sereno_register_commands: TypeError" in result.stderr


def test_a_command_that_two_plugins_bring_is_the_first_one_s_and_check_says_so(call: Call) -> None:
    said = "plugin 'rude': the command 'greet' is plugin 'polite''s; rename it"
    plugins = {"polite": POLITE, "rude": hook(lambda: [click.Command("greet")])}
    assert said in call("--help", plugins=plugins).stderr
    assert said in call("check", plugins=plugins).stderr


class Manners(msgspec.Struct):
    greeting: str = "hello"


def with_settings(settings: Manners) -> list[click.Command]:
    return [click.Command("greet", callback=lambda: click.echo(settings.greeting))]


def typed(hooks: dict[str, Any]) -> dict[str, Any]:
    mark = hookimpl(specname="sereno_register_settings")
    return {**hooks, "sereno_register_settings": mark(lambda: Manners)}


def test_a_plugin_s_commands_are_made_with_its_settings(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = {"polite": typed(hook(with_settings))}
    assert call("greet", plugins=plugins).output == "hello\n"
    monkeypatch.setenv("SERENO_PLUGINS__POLITE__GREETING", "good night")
    assert call("greet", plugins=plugins).output == "good night\n"


def test_commands_whose_settings_do_not_fit_are_left_out_with_the_reason(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERENO_PLUGINS__POLITE__GREETINGS", "x")
    result = call("--help", plugins={"polite": typed(hook(with_settings))})
    assert result.exit_code == 0
    assert "plugin 'polite': its commands are left out: " in result.stderr
    assert "did you mean SERENO_PLUGINS__POLITE__GREETING?" in result.stderr


def test_what_a_plugins_command_raises_is_told_as_anything_else(call: Call) -> None:
    failing = click.Command("fail", callback=broken)
    result = call("fail", plugins={"odd": hook(lambda: [failing])})
    assert result.exit_code == 1
    assert result.stderr.startswith("sereno: RuntimeError: boom; that is a fault of sereno or of")
