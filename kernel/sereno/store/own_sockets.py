"""The sockets that a forked child may not keep: the database counts on their end with this process.

A child that held the leader's session open would keep the lock of a leader that has died.
"""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

_of: WeakKeyDictionary[Any, Callable[[Any], int]] = WeakKeyDictionary()


def unshare(holder: Any, number: Callable[[Any], int]) -> None:
    """Keep a socket from forked children as long as `holder` lives; `number(holder)`: its file
    descriptor now, -1 when it is closed."""
    _of[holder] = number


def detach() -> None:
    """In a forked child: put a dead socket in the place of each of them.

    (To close them would free their numbers for files of the child, which the parent's objects in
    its memory would then write to.)
    """
    with suppress(OSError):
        dead, other = socket.socketpair()
        with dead, other:
            for number in [number(holder) for holder, number in _of.items()]:
                if number >= 0:
                    os.dup2(dead.fileno(), number, inheritable=False)
