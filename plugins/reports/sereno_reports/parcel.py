"""A report on its way to somebody."""

from datetime import datetime

import msgspec

from sereno_reports.forms import Form


class UncertainError(Exception):
    """It cannot be told whether a parcel has arrived."""


class ReportFile(msgspec.Struct, frozen=True):
    """A report in one form."""

    form: Form
    content: bytes


class DeliveredReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is delivered. `stem`: of its files' names. `message_id`: the same at each try.

    `title`, `text`, `html` and `attachments` are the same whoever carries it. `html`: a body for
    mail, which needs nothing from elsewhere. `lacking`: what could not be made of it, or "".
    """

    address: str
    message_id: str
    made_at: datetime
    stem: str
    title: str
    text: str
    html: str
    attachments: tuple[ReportFile, ...]
    lacking: str = ""
