"""The settings under ``[plugins.notify]``: addresses here are secrets, and shown nowhere."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from sereno import NotificationKind, Retry, Severity
from sereno_notify.quiet_hours import parse_quiet

Timeout = Annotated[
    timedelta, Meta(extra={"min": timedelta(milliseconds=100), "max": timedelta(seconds=25)})
]
Repeat = Annotated[timedelta, Meta(extra={"min": timedelta(minutes=1), "max": timedelta(days=30)})]
Port = Annotated[int, Meta(ge=1, le=65535)]
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")


class _Hidden(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table whose `repr` shows none of its values."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Webhook(_Hidden, frozen=True, kw_only=True):
    """``[plugins.notify.webhooks.<name>]``: a notifier of that name.

    `format`: what is posted. `secret`: signs the body, see `sereno_notify.signature`. `headers`:
    sent besides. `attachment_bytes`: of the files of one message; 0: none.
    """

    url: str
    format: Literal["json", "slack", "teams"] = "json"
    secret: str | None = None
    headers: dict[str, str] = {}
    timeout: Timeout = timedelta(seconds=10)
    attachment_bytes: Annotated[int, Meta(ge=0)] = 10_000_000

    def __post_init__(self) -> None:
        check_url(self.url)
        for name, value in self.headers.items():
            if not re.fullmatch(r"[A-Za-z0-9-]+", name) or re.search(r"[\r\n\0]", value):
                raise ValueError(f"headers: '{name}' is no header, or its value has line breaks")


class Email(_Hidden, frozen=True, kw_only=True):
    """``[plugins.notify.emails.<name>]``: a notifier of that name.

    `security`: ``starttls`` (usually port 587), ``tls`` from the first byte on (465), or ``none``,
    for a relay on this machine.
    """

    host: str
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None
    sender: str
    to: tuple[str, ...]
    timeout: Timeout = timedelta(seconds=20)

    def __post_init__(self) -> None:
        if not self.to:
            raise ValueError("to is empty, it must name at least one address")
        for address in (self.sender, *self.to):
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"'{address}' is no mail address, write it like ops@example.com")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: set both or none")


class Ping(_Hidden, frozen=True, kw_only=True):
    """``[plugins.notify.pings."<job>"]``: a URL that hears of each run of the job.

    `url` on success, `url`/start as a run begins (unless `start` is false), `url`/fail when it
    failed for good: as Healthchecks and those like it understand.
    """

    url: str
    start: bool = True
    timeout: Timeout = timedelta(seconds=10)

    def __post_init__(self) -> None:
        check_url(self.url)


class NotifyRoute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[plugins.notify.routes.<name>]``: which notifications go to which notifiers, and when.

    `to`: names of notifiers, none for all. `severity`: from which on. `jobs`: patterns as
    ``etl_ivr.*``; what concerns no job goes to routes with ``*`` alone. `kinds`: none for all.
    `resolved`: tell also when it is over. `quiet`: hours in which all but critical ones wait.
    """

    to: tuple[str, ...] = ()
    severity: Severity = "warning"
    jobs: tuple[str, ...] = ("*",)
    kinds: tuple[NotificationKind, ...] = ()
    resolved: bool = True
    quiet: str | None = None

    def __post_init__(self) -> None:
        if self.quiet is not None:
            parse_quiet(self.quiet)


class Settings(_Hidden, frozen=True, kw_only=True):
    """Notifiers by name, and pings by the name of the job; who is told of what goes wrong: without
    a route every notifier hears of warnings and worse.

    `repeat_every`: what goes on is told again after so long. `keep`: how long the record of what
    was told is kept. `retry`: of a notification that does not arrive. `delivery`: of one of which
    nobody knows whether it arrived: told again, or left, as ``unknown``.
    """

    webhooks: dict[str, Webhook] = {}
    emails: dict[str, Email] = {}
    pings: dict[str, Ping] = {}
    routes: dict[str, NotifyRoute] = {}
    repeat_every: Repeat = timedelta(hours=4)
    keep: timedelta = timedelta(days=30)
    retry: Retry = Retry(
        attempts=10, delay=timedelta(seconds=5), max_delay=timedelta(minutes=10), jitter=0.2
    )
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"

    def __post_init__(self) -> None:
        for name in (*self.webhooks, *self.emails):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"the notifier '{name}' needs a name of lower-case letters, digits, '_', '.' "
                    "and '-', a letter first"
                )
        if both := self.webhooks.keys() & self.emails.keys():
            raise ValueError(f"'{min(both)}' is a webhook and a mail, each notifier wants a name")


def check_url(url: str) -> None:
    """Raise ValueError, which does not show `url`, unless it is one of the web."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"[\s\0]", url):
        raise ValueError("url must begin with https:// or http:// and name a host")
