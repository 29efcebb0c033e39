"""The settings under ``[plugins.console]``: who may come in, and by what."""

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal

from msgspec import Meta, Struct

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.*:\[\]-]+|'self'")

_ADDRESS = re.compile(r"https?://[^/\\{}\s]+(/\S*)?\Z|/[^/\\]\S*\Z")
_NAMED = re.compile(r"{(\w*)}")

LINK_NAMES = ("run", "job", "node", "trace", "since", "until")
"""What may stand in an address of `links`."""

SessionTime = Annotated[
    timedelta, Meta(extra={"min": timedelta(minutes=1), "max": timedelta(days=365)})
]


class ProxySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[plugins.console.proxy]``: a proxy in front that knows who asks.

    `user_header`: where it names them, as ``X-Forwarded-User``; empty: none does. `addresses`: of
    the proxies, the only ones that are believed. `groups_header`: names separated by commas.
    `access`: what each group, or user, may; `default`: what others may, nothing where it is empty.
    """

    user_header: str = ""
    groups_header: str = ""
    addresses: tuple[str, ...] = ()
    access: dict[str, tuple[str, ...]] = {}
    default: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.user_header, self.groups_header):
            if name and not _HEADER.fullmatch(name):
                raise ValueError(f"proxy: '{name}' is no name of a header")
        for address in self.addresses:
            ip_network(address, strict=False)
        if self.user_header and not self.addresses:
            raise ValueError(
                "proxy.user_header is set without proxy.addresses: anybody could send it"
            )
        if self.groups_header and not self.user_header:
            raise ValueError("proxy.groups_header needs proxy.user_header")


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[plugins.console]``.

    `local`: what who comes from this machine may do where apps are served on a loopback address
    alone and nobody was added yet; ``none`` asks them, too, who they are. `session_time`: after so
    long without a request one logs in again. `frame_ancestors`: origins whose pages may show the
    console in a frame. `links`: of each run, by what they are called: addresses in which ``{run}``,
    ``{job}``, ``{node}``, ``{trace}``, ``{since}`` and ``{until}`` stand for its own.
    """

    enabled: bool = True
    local: Literal["admin", "operator", "viewer", "none"] = "admin"
    proxy: ProxySettings = ProxySettings()
    session_time: SessionTime = timedelta(hours=12)
    frame_ancestors: tuple[str, ...] = ()
    links: dict[str, str] = {}

    def __post_init__(self) -> None:
        for name, address in self.links.items():
            if not _ADDRESS.match(address):
                raise ValueError(
                    f"links: '{name}' is no address, as https://logs.example.com/{{run}}"
                )
            if unknown := sorted({*_NAMED.findall(address)} - {*LINK_NAMES}):
                known = ", ".join(f"{{{one}}}" for one in LINK_NAMES)
                raise ValueError(f"links: '{name}' has {{{unknown[0]}}}; there are {known}")
        for origin in self.frame_ancestors:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"frame_ancestors: '{origin}' is no origin, as https://intranet.example.com"
                )
