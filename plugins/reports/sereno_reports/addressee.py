"""Whom a report goes to, and how."""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from sereno_reports.settings import Settings


class Addressee(msgspec.Struct, frozen=True):
    """A mail address or a folder."""

    channel: Literal["folder", "mail"]
    address: str

    def message_id(self, revision: Iterable[Any]) -> str:
        """Return what tells this delivery from every other, however often it is tried."""
        told = " ".join(map(str, (*revision, self.channel, self.address)))
        return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}@sereno-reports"


def addressees(settings: Settings, mails: Iterable[str]) -> tuple[Addressee, ...]:
    """Return who gets a report: the folder of the settings, and `mails` where mail is set."""
    found = [Addressee("folder", settings.deliver_dir)] if settings.deliver_dir else []
    if settings.mail is not None:
        found += [Addressee("mail", address) for address in dict.fromkeys(mails) if address]
    return tuple(found)
