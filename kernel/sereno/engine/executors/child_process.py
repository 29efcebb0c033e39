"""A child of the process executor, as its parent sees it: begun, given work, ended for certain."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress

from sereno.engine.executors.wire import Order, framed


class Child:
    """A process, the first of a group of its own, and the sockets to it: one for what it is to do,
    one for what it says. Over one alone, an order to a child that has just ended would have what it
    said last thrown away, unread."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reports: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        orders: asyncio.StreamWriter,
    ) -> None:
        self.reader, self._unused = reports
        self.writer = orders
        self.pid = process.pid
        self._process = process

    @classmethod
    async def begun(cls, nice: int = 0) -> "Child":
        """Return a new one, which waits for its work; it is so much nicer than this process."""
        ordering, ordered = socket.socketpair()
        reported, reporting = socket.socketpair()
        with ordered, reporting:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sereno.engine.executors.child",
                str(ordered.fileno()),
                str(reporting.fileno()),
                str(nice),
                pass_fds=(ordered.fileno(), reporting.fileno()),
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
            )
        reports = await asyncio.open_connection(sock=reported)
        _, orders = await asyncio.open_connection(sock=ordering)
        return cls(process, reports, orders)

    @property
    def at_rest(self) -> bool:
        """Return whether it lives still, and can be given work."""
        return self._process.returncode is None and not self.reader.at_eof()

    def send(self, order: Order) -> None:
        """Send an order; one that is gone does not take it."""
        self.writer.write(framed(order))

    async def end(self) -> int:
        """Kill its group, and return its exit code once it is dead."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = await self._process.wait()
        self.writer.close()
        self._unused.close()
        return code
