"""The settings under ``[plugins.reports]``, checked before anything starts."""

import hashlib
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sereno import TriggerError, find_zone, parse
from sereno_reports.table import quoted

Language = Literal["es", "en"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

AGENT_CHANNEL = r"^(PJSIP|SIP|IAX2|SCCP|Local|Agent)/[0-9]{2,8}([-@/]|$)"
OUTBOUND_CONTEXT = r"^(from-internal|outbound|outrt|macro-dialout)"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an operator may choose.

    `database_url`: where the calls are and the reports are kept; None: the kernel's own database.
    `schedule`: a text that `sereno.parse` reads; 08:00 in `zone` when None. `agent_channel` and
    `outbound_context`: PostgreSQL's regular expressions for the dstchannel of an agent, and for
    the context in which an outbound or internal call begins. `include_today`: report the day that
    is not over yet. `recheck_days`: so many days before are looked at again.
    `calls_required`: false makes a missing table of calls no failure.
    """

    database_url: str | None = None
    enabled: bool = True
    schedule: str | None = None
    zone: str = "UTC"
    business_days: tuple[Weekday, ...] = WEEK
    calls_table: str = "ivr.calls"
    calls_required: bool = True
    language: Language = "es"
    organisation: str = ""
    service_level_seconds: Annotated[int, Meta(ge=1, le=3600)] = 20
    short_abandon_seconds: Annotated[int, Meta(ge=0, le=3600)] = 5
    agent_channel: str = AGENT_CHANNEL
    outbound_context: str = OUTBOUND_CONTEXT
    include_today: bool = False
    recheck_days: Annotated[int, Meta(ge=0, le=35)] = 3

    def __post_init__(self) -> None:
        quoted(self.calls_table)
        if self.schedule is not None:
            parse(self.schedule)
        if not self.business_days:
            raise ValueError("business_days is empty, it must name at least one day")
        for name in ("agent_channel", "outbound_context"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ValueError(f"{name} is no regular expression: {error}") from error
        try:
            find_zone(self.zone)
        except TriggerError as error:
            raise ValueError(f"zone: {error}") from error

    @property
    def digest(self) -> str:
        """Return what tells a report made with these choices from one made with others."""
        chosen = (
            self.zone,
            self.calls_table,
            self.language,
            self.organisation,
            self.service_level_seconds,
            self.short_abandon_seconds,
            self.agent_channel,
            self.outbound_context,
        )
        return hashlib.sha256(msgspec.json.encode(chosen)).hexdigest()[:16]
