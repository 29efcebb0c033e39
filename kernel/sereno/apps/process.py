"""The process of apps that a node starts: bounded in memory, after the node in the queue for the
processors, and gone with it.

It ends with its node, however that ends: the socket that joins them is then at its end, and on
Linux the kernel sends a signal as well.
"""

import asyncio
import ctypes
import importlib
import logging
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sereno.apps.port import PortTakenError
from sereno.apps.service import serve_apps
from sereno.apps.wire import AppsOrder, AppsReport, decode_order
from sereno.model import fault
from sereno.model.errors import ConfigurationError, SerenoError
from sereno.model.lazy import lazy
from sereno.observe.logs import apply_plugin_levels, configure_logging
from sereno.plugins import collect, load_plugins
from sereno.settings import redact

log = logging.getLogger("sereno.apps")

BEAT = 2.0
"""Seconds between two signs of life."""

_PR_SET_PDEATHSIG = 1
_FIRST_TO_GO = "500"
"""Where Linux ends a process for want of memory: this one before its node."""


def main() -> None:
    """Do what the node orders over the file descriptor in ``argv[1]``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    joined = socket.socket(fileno=int(sys.argv[1]))
    order = decode_order(_exactly(joined, int.from_bytes(_exactly(joined, 4), "big")))
    threading.Thread(target=_end_with, args=(joined,), daemon=True).start()
    sys.path[:] = order.path
    _bound(order)
    configure_logging(order.settings.log)
    report = _served(order, joined)
    with suppress(OSError):
        if report is not None:
            joined.sendall(report.line())
    logging.shutdown()
    os._exit(0 if report is None else 1)  # threads of an app may not keep the process


def _served(order: AppsOrder, joined: socket.socket) -> AppsReport | None:
    """Serve; return why that has ended, None when it was told to."""
    try:
        loops = lazy("uvloop" if find_spec("uvloop") else "asyncio").new_event_loop
        with asyncio.Runner(loop_factory=loops) as runner:
            runner.run(_serve(order, joined))
    except PortTakenError as error:
        return AppsReport("taken", str(error))
    except ConfigurationError as error:
        return AppsReport("configuration", redact(str(error)))
    except SerenoError as error:
        return AppsReport("failed", redact(str(error)))
    except BaseException as error:  # whatever it is, the node is to hear of it
        log.critical("the process of apps ends by a fault", exc_info=error)
        return AppsReport("failed", redact(fault.sentence(error)))
    return None


async def _serve(order: AppsOrder, joined: socket.socket) -> None:
    plugins = load_plugins(order.settings, extra=_at_hand(order), entry_points=order.entry_points)
    registry = collect(plugins, order.settings)
    for record in registry.records.values():
        if record.state == "failed":
            facts = {"plugin": record.name, "reason": record.reason}
            log.error("a plugin failed, apps of the others are served", extra=facts)
    apply_plugin_levels(order.settings.log, registry)
    beating = asyncio.create_task(_beat(joined))
    try:
        await serve_apps(
            order.settings,
            registry,
            order.settings.database_url,
            lambda url: joined.sendall(AppsReport("ready", url).line()),
        )
    finally:
        beating.cancel()


def _at_hand(order: AppsOrder) -> list[tuple[str, Any]]:
    """Import the plugins that are no distributions; one that cannot be is left out."""
    found = []
    for name, module in order.plugins:
        try:
            found.append((name, importlib.import_module(module)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit at an import is one plugin's fault
            log.error("a plugin cannot be imported", exc_info=error, extra={"plugin": name})
    return found


async def _beat(joined: socket.socket) -> None:
    """Give a sign of life for as long as this loop turns."""
    while True:
        joined.sendall(AppsReport("beat").line())
        await asyncio.sleep(BEAT)


def _bound(order: AppsOrder) -> None:
    chosen = order.settings.apps
    with suppress(OSError):
        os.nice(chosen.nice)
    with suppress(OSError, ValueError):
        limit = chosen.memory_limit_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)


def _end_with(joined: socket.socket) -> None:
    """Wait for the node's end, on this thread."""
    with suppress(OSError):
        while joined.recv(4096):
            pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _exactly(joined: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = joined.recv(size - len(found))
        if not part:
            os._exit(1)  # the node is gone already
        found += part
    return bytes(found)


if __name__ == "__main__":
    main()
