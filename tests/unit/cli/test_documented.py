"""docs/cli.md names every command and every option as the code has it."""

from importlib import import_module
from pathlib import Path

import click
import pytest

from sereno.cli.command_table import ENTRIES
from sereno.cli.options import global_parameters

GLOBAL_NAMES = {parameter.name for parameter in global_parameters()}

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text("utf-8")


def section(name: str) -> str:
    return PAGE.split(f"\n### {name}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]


def spelled(option: click.Option) -> list[str]:
    return [name for name in option.opts if name != "--param"]


@pytest.mark.parametrize("name", ENTRIES)
def test_each_command_has_a_section_with_its_arguments_and_options(name: str) -> None:
    command: click.Command = import_module(f"sereno.cli.{ENTRIES[name].module}").command
    usage = section(name).split("```")[1]
    assert usage.strip().startswith(f"sereno {name}")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in GLOBAL_NAMES:
            assert any(option in usage for option in spelled(parameter)), parameter.name


def test_each_command_of_a_group_is_in_its_usage_with_its_options() -> None:
    for name in ENTRIES:
        group = import_module(f"sereno.cli.{ENTRIES[name].module}").command
        if not isinstance(group, click.Group):
            continue
        usage = section(name).split("```")[1].replace("\n  ", " ")
        for part in group.commands.values():
            (line,) = (
                li for li in usage.splitlines() if li.startswith(f"sereno {name} {part.name}")
            )
            for parameter in part.params:
                if isinstance(parameter, click.Option) and parameter.name not in GLOBAL_NAMES:
                    assert any(option in line for option in spelled(parameter)), parameter.name


def test_each_global_option_is_documented() -> None:
    for parameter in global_parameters():
        assert f"`{parameter.opts[0]}" in section("Global options")


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_each_exit_code_is_documented(code: int) -> None:
    assert f"| {code} |" in section("Exit codes")


def test_the_page_documents_no_command_that_is_not_there() -> None:
    sections = {
        "Global options",
        "Exit codes",
        "Output",
        "Instants",
        "Commands of plugins",
        *ENTRIES,
    }
    titles = {line[4:] for line in PAGE.splitlines() if line.startswith("### ")}
    assert titles == sections
