"""Sereno plugin: the console and the REST API.

`app` makes both as one ASGI application, for who mounts them in an application of their own.
"""

from typing import Any

from sereno import lazy

__version__ = "0.2.0"


def app(
    database: Any = None,
    *,
    resolver: Any = None,
    log_in: str | None = None,
    challenge: str | None = None,
    settings: Any = None,
) -> Any:
    """Return the console as an ASGI application: pages below its mount, the API at ``api/v1``.

    `database`: the `Sereno` of this process, whose connections it shares, a `sereno.Client`, or a
    URL as `Client.open` takes one. `resolver`: says who asks and what they may, see
    `sereno_console.security.resolver`; None: the console's own users and tokens. `log_in`: the
    address of the application's own log-in page, as ``/login?next=``: who is not known is sent
    there from a page, whose address is written behind it. `challenge`: what ``WWW-Authenticate``
    tells who is not known, as ``Basic realm="shop"``. `settings`: a
    `sereno_console.settings.Settings`. Nothing is loaded or opened before the first request.
    """
    given = {"log_in": log_in, "challenge": challenge}
    host = {name: text for name, text in given.items() if text is not None}
    made: Any = lazy("sereno_console.site.mounted").ConsoleMount  # who mounts it loads it
    return made(database, resolver=resolver, settings=settings, host=host)


__all__ = ["__version__", "app"]
