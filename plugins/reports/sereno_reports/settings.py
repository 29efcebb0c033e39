"""The settings under ``[plugins.reports]``, checked before anything starts."""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sereno import TriggerError, check_database_url, find_zone, parse

Language = Literal["es", "en"]
Severity = Literal["info", "warning", "critical"]
DeliveredForm = Literal["html", "pdf", "xlsx", "csv"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
"""What mail goes to: one address, and nothing that could be a second or a header."""
_MOVED = {
    "calls_table": "etl_ivr.aggregate reads ivr.calls",
    "service_level_seconds": "set plugins.etl_ivr.level_seconds",
    "short_abandon_seconds": "set plugins.etl_ivr.short_abandon_seconds",
    "agent_channel": "set plugins.etl_ivr.agent_channel",
    "outbound_context": "set plugins.etl_ivr.outbound_context",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an operator may choose.

    `database_url`: where the figures are and the reports are kept; None: the kernel's own database.
    `schedule`: of the daily report, a text that `sereno.parse` reads; 08:00 in `zone` when None.
    `include_today`: report the day that is not over yet. `recheck_days`: so many days before are
    looked at again. `calls_required`: false makes missing figures no failure. `sources`: exchanges
    that count; all when empty. `targets`: by column, as ``{service_level = 0.8}``. `recipients`,
    `formats`, `severities`: by report, in place of what it declares. `routed`: reports that go to
    whom ``[plugins.notify.routes]`` name. `delivery`, `delivery_attempts`: of the folder; messages
    have their own.
    """

    database_url: str | None = None
    enabled: bool = True
    schedule: str | None = None
    zone: str = "UTC"
    business_days: tuple[Weekday, ...] = WEEK
    sources: tuple[str, ...] = ()
    calls_required: bool = True
    language: Language = "es"
    organisation: str = ""
    include_today: bool = False
    recheck_days: Annotated[int, Meta(ge=0, le=35)] = 3
    reports_dirs: tuple[str, ...] = ()
    targets: dict[str, float] = {}
    recipients: dict[str, tuple[str, ...]] = {}
    formats: dict[str, tuple[DeliveredForm, ...]] = {}
    severities: dict[str, Severity] = {}
    routed: tuple[str, ...] = ()
    deliver_dir: str | None = None
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    delivery_attempts: Annotated[int, Meta(ge=1, le=100)] = 10
    calls_table: Any = None
    service_level_seconds: Any = None
    short_abandon_seconds: Any = None
    agent_channel: Any = None
    outbound_context: Any = None
    mail: Any = None

    def __post_init__(self) -> None:
        self._check_moved()
        try:
            check_database_url(self.database_url or "")
        except ValueError as error:  # a sentence without any part of it
            raise ValueError(f"database_url: {error}") from None
        if self.schedule is not None:
            parse(self.schedule)
        if not self.business_days:
            raise ValueError("business_days is empty, it must name at least one day")
        for folder in self.reports_dirs:
            if not Path(folder).is_dir():
                raise ValueError(f"reports_dirs names '{folder}', and there is no such folder")
        try:
            find_zone(self.zone)
        except TriggerError as error:
            raise ValueError(f"zone: {error}") from error
        self._check_addresses()

    def _check_moved(self) -> None:
        for name, remedy in _MOVED.items():
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name} is set, and reports show the figures that etl_ivr.aggregate counts "
                    f"now: take it out, and {remedy}"
                )
        if self.mail is not None:
            raise ValueError(
                "mail is set, and reports go out by the kernel's notifications now: take it out, "
                "and set the same server in [plugins.notify.emails.<name>] (docs/reports.md)"
            )

    def _check_addresses(self) -> None:
        for address in (one for some in self.recipients.values() for one in some):
            if not ADDRESS.fullmatch(address):
                raise ValueError(
                    f"recipients: {address!r} is no mail address, write it like ceo@example.com"
                )

    def digest(self, recipient: str = "") -> str:
        """Return what tells a report that counts with these choices from one with others.

        Language, names and targets change how a report is written, and not what it counts.
        """
        chosen = (self.zone, sorted(self.sources), recipient)
        return hashlib.sha256(msgspec.json.encode(chosen)).hexdigest()[:16]
