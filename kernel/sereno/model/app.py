"""What a plugin shows to people and programs: an ASGI application, and what it is called."""

from collections.abc import Callable
from typing import Any

import msgspec


class App(msgspec.Struct, frozen=True):
    """An app of a plugin. `title`: what people read on the page that lists the apps.

    `factory`: called once with a `Client`, in the process of apps; returns an ASGI application, or
    a coroutine of one. What only it needs, as a web framework, it imports itself: every replica
    loads the plugin.
    """

    title: str
    factory: Callable[[Any], Any]
