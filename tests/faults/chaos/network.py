"""A network namespace for each replica, joined to this machine by a cable that can be cut.

A cut is silent: packets go to a station that does not exist, so nobody hears of it, and it may be
cut in one direction only. Needs root and Linux.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

Cut = Literal["both ways", "to the server", "from the server", "cable"]

_NOWHERE = "02:00:00:00:00:99"


def why_not() -> str | None:
    """Say why networks cannot be cut here, None where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "cutting networks needs root on Linux"
    if shutil.which("ip") is None:
        return "cutting networks needs the program ip: tools/test-tools.sh ip"
    try:
        _ip("netns", "list")
    except subprocess.CalledProcessError as error:
        return f"this machine has no network namespaces: {error.stderr}"
    return None


class Network:
    """The namespace of one process. `here`: this machine's address on the cable, `there`: its
    own."""

    def __init__(self, number: int) -> None:
        self.name = f"srn{os.getpid()}n{number}"
        net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self.here, self.there = f"{net}.{4 * number + 1}", f"{net}.{4 * number + 2}"
        self._outside, self._inside = f"{self.name[3:]}o"[-15:], f"{self.name[3:]}i"[-15:]

    def open(self) -> None:
        _ip("netns", "add", self.name)
        _ip("link", "add", self._outside, "type", "veth", "peer", "name", self._inside)
        _ip("link", "set", self._inside, "netns", self.name)
        _ip("addr", "add", f"{self.here}/30", "dev", self._outside)
        _ip("link", "set", self._outside, "up")
        self._within("addr", "add", f"{self.there}/30", "dev", self._inside)
        self._within("link", "set", self._inside, "up")
        self._within("link", "set", "lo", "up")

    def reach_all(self) -> None:
        """Let it reach every address of this machine, over its cable."""
        self._within("route", "add", "default", "via", self.here)

    def close(self) -> None:
        for command in (("link", "del", self._outside), ("netns", "del", self.name)):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(*command)

    def cut(self, how: Cut) -> None:
        if how == "cable":
            self._within("link", "set", self._inside, "down")
        if how in ("both ways", "to the server"):
            self._within(*_astray(self.here, self._inside))
        if how in ("both ways", "from the server"):
            _ip(*_astray(self.there, self._outside))

    def heal(self) -> None:
        self._within("link", "set", self._inside, "up")
        for place, address, device in (
            (self._within, self.here, self._inside),
            (_ip, self.there, self._outside),
        ):
            with contextlib.suppress(subprocess.CalledProcessError):
                place("neigh", "del", address, "dev", device)

    def _within(self, *arguments: str) -> None:
        _ip("-n", self.name, *arguments)


@contextlib.contextmanager
def networks(count: int) -> Iterator[list[Network]]:
    """Give so many namespaces; those of programs that were killed go first."""
    _remove_orphans()
    made = [Network(n) for n in range(count)]
    try:
        for network in made:
            network.open()
        yield made
    finally:
        for network in made:
            network.close()


def _astray(address: str, device: str) -> tuple[str, ...]:
    return ("neigh", "replace", address, "lladdr", _NOWHERE, "dev", device, "nud", "permanent")


def _remove_orphans() -> None:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    for name, pid in re.findall(r"^(srn(\d+)n\d+)", listed.stdout, re.MULTILINE):
        if not os.path.exists(f"/proc/{pid}"):
            _ip("netns", "del", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
