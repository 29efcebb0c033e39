"""Answers only requests that are meant for this server, while no token says who may read.

A page of somebody else's, open in a browser of this machine, may have its own name resolve to this
machine's address (DNS rebinding): the browser then lets it read what is served here. But it names
itself in ``Host``. An address in digits cannot be had so, and neither can this machine's own names.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from ipaddress import ip_address

from sereno.http.answer import Answer, sentence
from sereno.http.auth import OPEN
from sereno.http.request import Page, Request

ANY = "*"


def meant_for(app: Page, names: Collection[str]) -> Page:
    """Return `app` for requests to this machine's own names, addresses and `names`, and 421 for
    others; probes tell nothing, and are answered anyway."""
    known = {name.lower().rstrip(".") for name in names} | {os.uname().nodename.lower()}

    async def guard(request: Request) -> Answer:
        host = request.header("host")
        if is_ours(host, known) or request.path.rstrip("/") in OPEN:
            return await app(request)
        return sentence(
            421,
            f"this server does not answer to the name '{host[:255]}': add it to http.hosts "
            "(SERENO_HTTP__HOSTS), set http.token, or ask for its address",
        )

    return app if ANY in known else guard


def is_ours(host: str, known: Collection[str]) -> bool:
    """Tell whether a Host header names this machine: `known`, in lower case, or an address."""
    name = _name(host)
    if not host or name in known:  # no browser leaves it out
        return True
    if name == "localhost" or name.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return bool(ip_address(name))
    return False


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")
