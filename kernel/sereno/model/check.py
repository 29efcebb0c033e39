"""What a plugin looks at before anything runs, and what it has to say: the contract of checks."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """A sentence for whoever sets this up. `fault`: it will not work so; else worth knowing."""

    sentence: str
    fault: bool = False


class Check(msgspec.Struct, frozen=True):
    """A look at what a plugin needs, for ``sereno check``: `name`, and what finds.

    `find`: an async or a plain function without arguments; it has 10 seconds, and a thread of its
    own. It changes nothing. What it raises is told under its name, so it must hold no secret.
    `every`: it is a dependency, as a cache or a mail server, which each node asks so often as long
    as it works, and which is up when there is nothing to find; None: no node asks it.
    """

    name: str
    find: Callable[[], Iterable[Finding] | Awaitable[Iterable[Finding]]]
    every: str | float | timedelta | None = None
