"""Notifies systemd how the node is, by sd_notify(3): READY, WATCHDOG, STOPPING, a sentence.

Where NOTIFY_SOCKET is not set (no ``Type=notify``) it tells nobody.
"""

import asyncio
import os
import socket
from collections.abc import Callable, MutableMapping
from contextlib import suppress

_EVERY = 5.0
"""Seconds between words, sooner where systemd's watchdog wants it."""

_MORE_TIME = "EXTEND_TIMEOUT_USEC=30000000"
"""A node whose database is away has not started; it waits, and is not to be given up."""


class Systemd:
    """The service manager that started this process, if one did."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        # A job's own process shall not speak for ours.
        self._address = environ.pop("NOTIFY_SOCKET", "")
        watchdog = environ.pop("WATCHDOG_USEC", "")
        ours = environ.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self.limit = int(watchdog) / 1e6 if ours and watchdog.isdecimal() else None

    def notify(self, *words: str) -> None:
        """Send words, never blocking; nothing depends on whether they arrive."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)
            link.sendto("\n".join(words).encode(), address)

    async def work(
        self, started: Callable[[], bool], silent: Callable[[], float], how: Callable[[], str]
    ) -> None:
        """Ask for time until `started`; then feed the watchdog, as long as the firing loop was
        `silent` for less seconds than it allows; say `how` things are."""
        if not self._address:
            return
        every = _EVERY if self.limit is None else min(_EVERY, self.limit / 3)
        while True:
            words = [f"STATUS={how()}"]
            if not started():
                words.append(_MORE_TIME)
            elif self.limit is not None and silent() < self.limit:
                words.append("WATCHDOG=1")
            self.notify(*words)
            await asyncio.sleep(every)
