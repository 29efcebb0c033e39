"""The program of a replica: what ``sereno run`` becomes, or calls where it cannot become it."""

import asyncio
import logging
import os
import sys
from pathlib import Path

import msgspec

from sereno.app.service import serve
from sereno.engine.event_loop import new_event_loop
from sereno.model.errors import SerenoError
from sereno.model.installed import take_over
from sereno.model.replica_order import ReplicaOrder
from sereno.model.streams import prepare_streams
from sereno.observe.complaint import FAILED, INTERRUPTED, complain_of, exit_code
from sereno.observe.logs import configure_logging
from sereno.settings import LogSettings, Settings, load_settings

log = logging.getLogger("sereno.kernel")


def main(order: str) -> int:
    """Be the replica that `order` asks for, in this process; return the exit code."""
    prepare_streams()
    decoded = msgspec.json.decode(order, type=ReplicaOrder)
    take_over(decoded.installed)
    return run(decoded)


def run(order: ReplicaOrder) -> int:
    """Run a replica until it is told to stop; return the exit code.

    What ends it is a line of its log where the log is JSON, else a sentence on stderr; with
    `order.debug` it comes out.
    """
    settings: Settings | None = None
    try:
        settings = load_settings(
            file=Path(order.config) if order.config is not None else None,
            environ=os.environ,
            flags=order.flags,
        )
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(serve(settings))
    except SystemExit:  # a callback of a job: the log has named the runs
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if order.debug:
            raise
        return _logged(error) if _logs_json(order, settings) else complain_of(error)


def _logged(error: Exception) -> int:
    """Log what ends this replica; return the exit code."""
    if not logging.getLogger().handlers:  # the settings are at fault, or none was read yet
        configure_logging(LogSettings(format="json"))
    known = isinstance(error, SerenoError)
    code = exit_code(error) if isinstance(error, SerenoError) else FAILED
    log.critical(
        "this node cannot run",
        exc_info=None if known else error,
        extra={"error": str(error), "exit_code": code} if known else {"exit_code": code},
    )
    return code


def _logs_json(order: ReplicaOrder, settings: Settings | None) -> bool:
    """Tell whether the log is JSON, as far as the settings can be read."""
    if settings is not None:
        chosen: str = settings.log.format
    else:
        chosen = order.flags.get("log.format") or os.environ.get("SERENO_LOG__FORMAT", "auto")
    return chosen == "json" or (chosen != "text" and not sys.stderr.isatty())
