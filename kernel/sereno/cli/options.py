"""The options that several commands share, and how a command gets them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from sereno.cli.invocation import Invocation
from sereno.model.duration import parse_duration
from sereno.model.errors import TriggerError
from sereno.model.spread import parse_spread

F = TypeVar("F", bound=Callable[..., Any])

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("auto", "json", "text")

pass_invocation = click.make_pass_decorator(Invocation, ensure=True)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

reveal_option = click.option(
    "--reveal", is_flag=True, help="Show passwords and tokens of the run, which are masked else."
)


def flag(key: str, *names: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an option that sets the setting `key`, as in ``flag("http.port", "--http-port")``."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            context.ensure_object(Invocation).flags[key] = value

    return click.option(*names, callback=keep, expose_value=False, **attributes)


def _keep_config(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Invocation).config = value


def _keep_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Invocation).debug = True


_GLOBALS: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_keep_config,
        expose_value=False,
        is_eager=True,
        help="Settings file. [default: conf/sereno.toml, sereno.toml, /etc/sereno/sereno.toml]",
    ),
    flag("database_url", "--database-url", metavar="URL", help="Postgres, or 'embedded'."),
    flag("log.level", "--log-level", type=click.Choice(LEVELS), help="Least level to log."),
    flag("log.format", "--log-format", type=click.Choice(FORMATS), help="How to log."),
    click.option(
        "--debug",
        is_flag=True,
        callback=_keep_debug,
        expose_value=False,
        is_eager=True,
        help="Show tracebacks.",
    ),
)


def global_options(function: F) -> F:
    """Give `function` the options that stand before a command and after it alike."""
    for option in reversed(_GLOBALS):
        option(function)
    return function


def global_parameters() -> list[click.Option]:
    """Return the global options, hidden, for a command that repeats them."""

    def bearer() -> None: ...

    found: list[click.Option] = global_options(bearer).__click_params__[::-1]  # type: ignore[attr-defined]
    for option in found:
        option.hidden = True
    return found


class _Run(click.ParamType[int]):
    """The number of a run."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip().removeprefix("#")
        if not text.isascii() or not text.isdecimal() or int(text) >= 2**63:
            self.fail(f"'{value}' is no number of a run; `sereno runs` lists them")
        return int(text)


class _Duration(click.ParamType[timedelta]):
    """A duration as people write it: 90s, 6h, 30d."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except TriggerError as error:
            self.fail(str(error), param, ctx)


class _Spread(_Duration):
    """A duration of jitter: 30s, or ±30s."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            return parse_spread(value)
        except TriggerError as error:
            self.fail(str(error), param, ctx)


RUN = _Run()
SPREAD = _Spread()
DURATION = _Duration()
