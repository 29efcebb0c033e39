"""Whom a report goes to, and how."""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from sereno_reports.settings import Settings


class Addressee(msgspec.Struct, frozen=True):
    """A folder, a mail address, or whom the routes of the configuration name (address "")."""

    channel: Literal["folder", "mail", "route"]
    address: str

    def message_id(self, revision: Iterable[Any]) -> str:
        """Return what tells this delivery from every other, however often it is tried."""
        told = " ".join(map(str, (*revision, self.channel, self.address)))
        return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}@sereno-reports"


def addressees(settings: Settings, report: str, mails: Iterable[str]) -> tuple[Addressee, ...]:
    """Return who gets `report`: the folder of the settings, `mails`, and whom routes name."""
    found = [Addressee("folder", settings.deliver_dir)] if settings.deliver_dir else []
    found += [Addressee("mail", address) for address in dict.fromkeys(mails) if address]
    if report in settings.routed:
        found.append(Addressee("route", ""))
    return tuple(found)
