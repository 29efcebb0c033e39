"""Management commands as jobs: any of them by ``django.command``, or one with a name of its own."""

import io
from typing import Any

import msgspec
from django.core.management import CommandError, call_command, get_commands

from sereno import DeclarationError, FinalError, Job, RunContext, job, suggestion
from sereno_django.connections import with_connections

COMMAND_JOB = "django.command"


class CommandCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a management command, as ``call_command`` takes it. `options`: by their names in
    Python (``dry_run``)."""

    command: str
    args: list[Any] = []
    options: dict[str, Any] = {}


class CommandOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of a job of one command may add to what its declaration says."""

    args: list[Any] = []
    options: dict[str, Any] = {}


@with_connections
@job(COMMAND_JOB, params=CommandCall, title="Management command")
def run_command(run: RunContext[CommandCall]) -> dict[str, Any]:
    """Run any management command of the project; what it writes is kept as lines of the run."""
    call = run.params
    return _called(run, call.command, call.args, call.options)


def command_job(
    name: str, command: str, *args: Any, options: dict[str, Any] | None = None, **declared: Any
) -> Job[Any]:
    """Return a job `name` that runs `command` with `args` and `options`.

    `declared`: what ``@job`` takes besides: ``schedule=``, ``timeout=``, ``title=``. A run may add
    arguments and options by its params. Raises DeclarationError where there is no such command.
    """
    known = get_commands()
    if command not in known:
        hint = suggestion(command, sorted(known), "; `manage.py help` lists them")
        raise DeclarationError(f"job '{name}': there is no management command '{command}'{hint}")

    def run_named_command(run: RunContext[CommandOptions]) -> dict[str, Any]:
        more = run.params
        return _called(run, command, [*args, *more.args], {**(options or {}), **more.options})

    run_named_command.__doc__ = f"Run the management command {command}."
    made: Job[Any] = job(name, params=CommandOptions, **declared)(run_named_command)
    return with_connections(made)


def _called(
    run: RunContext[Any], command: str, args: list[Any], options: dict[str, Any]
) -> dict[str, Any]:
    """Call it; a command that is not there, or is called wrongly, is so at the next attempt too."""
    output, errors = _Lines(run.log.info), _Lines(run.log.warning)
    if command not in get_commands():
        hint = suggestion(command, sorted(get_commands()), "; `manage.py help` lists them")
        raise FinalError(f"there is no management command '{command}'{hint}")
    try:
        returned = call_command(command, *args, stdout=output, stderr=errors, **options)
    except TypeError as error:  # an option that it does not know
        raise FinalError(f"command '{command}': {error}") from error
    except CommandError as error:
        if str(error).startswith("Error: "):  # which is how its parser refuses
            raise FinalError(f"command '{command}': {error}") from error
        raise
    except SystemExit as ended:
        if ended.code not in (None, 0):
            raise CommandError(f"command '{command}' ended with {ended.code!r:.200}") from ended
        returned = None
    finally:
        output.end()
        errors.end()
    return {"command": command, "lines": output.count, "returned": _text(returned)}


def _text(returned: Any) -> str | None:
    return None if returned is None else str(returned)[:1_000]


class _Lines(io.TextIOBase):
    """A stream that logs each line as it is whole."""

    def __init__(self, log: Any) -> None:
        self._log, self._rest, self.count = log, "", 0

    def writable(self) -> bool:
        """Return that it takes what is written."""
        return True

    def write(self, text: str) -> int:
        """Log what is whole of `text`."""
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self._emit(line)
        return len(text)

    def end(self) -> None:
        """Log what has no end of line."""
        rest, self._rest = self._rest, ""
        self._emit(rest)

    def _emit(self, line: str) -> None:
        if line.strip():
            self.count += 1
            self._log("%s", line.rstrip())
