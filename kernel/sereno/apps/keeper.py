"""Keeps the process of apps beside a node: starts it, watches it, starts it again when it ends, and
ends it with the node.

Whatever happens to that process, a fault, a flood, a loop for ever, the node loses nothing but it.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import suppress

import msgspec

from sereno.apps.port import PortTakenError, listen
from sereno.apps.wire import AppsOrder, AppsReport
from sereno.engine.backoff import Backoff
from sereno.engine.clock import steady
from sereno.engine.status import AppsProcess, Status
from sereno.model.errors import ConfigurationError
from sereno.plugins import Registry
from sereno.settings import Settings

log = logging.getLogger("sereno.apps")

_BEGINS_WITHIN = 60.0
"""Seconds from its start to its first sign of life: it imports plugins."""

_SILENT = 30.0
"""Seconds without a sign of life, after which it is ended: an app holds up its loop for ever."""

_STEADY = 60.0
"""Seconds after which a process that ends was well until then."""

_FIRST, _LONGEST = 1.0, 60.0
_TAKEN_AGAIN = 5.0
"""Seconds between two looks at a port that another has: a replica that ends leaves it to us."""

_SHOWN_AFTER = 30.0
_GOODBYE = 8.0


class AppsKeeper:
    """The keeper of one node's apps. `dsn`: where the database is, also an embedded one.

    `silent`, `first`: seconds, as above.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        dsn: str,
        status: Status,
        *,
        silent: float = _SILENT,
        first: float = _FIRST,
    ) -> None:
        self._order = _order(settings, registry, dsn)
        self._status = status
        self._state = status.apps = AppsProcess()
        self._silent = silent
        self._waits = Backoff(first, _LONGEST)

    async def work(self) -> None:
        """Keep it going until cancelled, and end it then."""
        taken = False
        while True:
            began = steady()
            try:
                ended = await self._run()
            except OSError as error:  # no process, no descriptor, no memory for it
                ended = AppsReport("failed", f"it cannot be started: {error}")
            self._state.url, self._state.why = None, ended.text
            if ended.kind == "taken":
                if not taken:
                    log.warning("apps are not served by this node", extra={"why": ended.text})
                taken = True
                await asyncio.sleep(_TAKEN_AGAIN)
                continue
            taken = False
            self._state.restarts += 1
            if steady() - began > _STEADY:
                self._waits.reset()
            wait = _LONGEST if ended.kind == "configuration" else self._waits.wait()
            facts = {"why": ended.text, "again_in": round(wait, 1), "times": self._state.restarts}
            log.error("the process of apps has ended, and is started again", extra=facts)
            sentence = f"the process of apps has ended, for the {self._state.restarts}. time"
            self._status.trouble("apps", f"{sentence}: {ended.text}", wait + _SHOWN_AFTER)
            await asyncio.sleep(wait)

    async def tried(self, within: float = 30.0, steady_for: float = 1.0) -> str | None:
        """Run it once and end it, `steady_for` seconds after it has begun to serve; return why it
        ended by itself, None where it did not."""
        running = asyncio.ensure_future(self._run())
        try:
            async with asyncio.timeout(within):
                while self._state.url is None and not running.done():
                    await asyncio.wait({running}, timeout=0.05)
            await asyncio.wait({running}, timeout=steady_for)
            return running.result().text if running.done() else None
        except TimeoutError:
            return f"it has served nothing within {within:g} s"
        except OSError as error:
            return f"it cannot be started: {error}"
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def _run(self) -> AppsReport:
        """Run the process once; return how it ended."""
        if taken := await self._taken():
            return taken
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sereno.apps.process",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            writer.write(self._order.encoded())
            said = await self._receive(reader)
            if said is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):  # it has ended: its code says how
                        await process.wait()
                said = AppsReport("failed", _how(process.returncode))
            return said
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await process.wait()
            raise
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            writer.close()

    async def _taken(self) -> AppsReport | None:
        """Say who has the port, before a process imports all plugins to find that out."""
        chosen = self._order.settings.apps
        try:
            listener = await asyncio.to_thread(listen, chosen.host, chosen.port)
        except PortTakenError as error:
            return AppsReport("taken", str(error))
        except ConfigurationError:
            return None  # the process will say so
        listener.close()
        return None

    async def _receive(self, reader: asyncio.StreamReader) -> AppsReport | None:
        """Take its words until its last; None when it ended without one."""
        patience = _BEGINS_WITHIN
        while True:
            try:
                async with asyncio.timeout(patience):
                    line = await reader.readline()
            except TimeoutError:
                text = f"it gave no sign of life for {patience:g} s: an app held it up"
                return AppsReport("failed", text)
            except (ConnectionError, ValueError):
                return None
            if not line.endswith(b"\n"):
                return None
            report = msgspec.json.decode(line, type=AppsReport)
            if report.kind == "ready":
                self._state.url, self._state.why = report.text, None
            elif report.kind != "beat":
                return report
            patience = self._silent


def _order(settings: Settings, registry: Registry, dsn: str) -> AppsOrder:
    loaded = [r for r in registry.records.values() if r.state == "loaded"]
    return AppsOrder(
        settings=msgspec.structs.replace(settings, database_url=dsn),
        plugins=[
            (r.name, r.module)
            for r in loaded
            if not r.distribution and r.module not in settings.modules  # those it finds itself
        ],
        entry_points=any(r.distribution for r in registry.records.values()),
        path=list(sys.path),
    )


def _how(code: int | None) -> str:
    if code is None:
        return "it closed its line to the node"
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it exited with code {code}"
