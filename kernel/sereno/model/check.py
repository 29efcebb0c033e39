"""What a plugin looks at before anything runs, and what it has to say: the contract of checks."""

from collections.abc import Awaitable, Callable, Iterable

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """A sentence for whoever sets this up. `fault`: it will not work so; else worth knowing."""

    sentence: str
    fault: bool = False


class Check(msgspec.Struct, frozen=True):
    """A look at what a plugin needs, for ``sereno check``: `name`, and what finds.

    `find`: an async or a plain function without arguments; it has 10 seconds, and a thread of its
    own. It changes nothing. What it raises is told under its name, so it must hold no secret.
    """

    name: str
    find: Callable[[], Iterable[Finding] | Awaitable[Iterable[Finding]]]
