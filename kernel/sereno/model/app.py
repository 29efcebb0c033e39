"""What a plugin shows to people and programs: an ASGI application, and what it is called."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from sereno.model.check import Finding


class App(msgspec.Struct, frozen=True):
    """An app of a plugin. `title`: what people read on the page that lists the apps.

    `factory`: called once with a `Client`, in the process of apps; returns an ASGI application, or
    a coroutine of one. What only it needs, as a web framework, it imports itself: every replica
    loads the plugin. `check`: what ``sereno check`` asks, where the database answers, with a
    `Client` and the address that apps are served on; it changes nothing. `doorkeeper`: the
    application knows people, and tells the other apps who asks, by its coroutine `visitor`.
    """

    title: str
    factory: Callable[[Any], Any]
    check: Callable[[Any, str], Awaitable[Iterable[Finding]]] | None = None
    doorkeeper: bool = False
