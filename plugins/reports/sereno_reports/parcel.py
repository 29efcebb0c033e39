"""A report on its way to somebody."""

from typing import Any

import msgspec

from sereno_reports.figures import Figures
from sereno_reports.forms import Form, given_out
from sereno_reports.letter import to_letter
from sereno_reports.look import Look
from sereno_reports.paper import PaperError
from sereno_reports.settings import Severity
from sereno_reports.summary import summary


class ReportFile(msgspec.Struct, frozen=True):
    """A report in one form."""

    form: Form
    content: bytes


class DeliveredReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is delivered. `stem`: of its files' names.

    `title`, `text`, `html` and `attachments` are the same whoever carries it. `html`: a body for
    mail, which needs nothing from elsewhere. `lacking`: what could not be made of it, or "".
    """

    stem: str
    title: str
    text: str
    html: str
    attachments: tuple[ReportFile, ...]
    severity: Severity = "info"
    lacking: str = ""


def packed(row: dict[str, Any]) -> DeliveredReport:
    """Return the kept report `row` as it is delivered. Raises FormError."""
    figures, look = msgspec.convert(row["figures"], Figures), msgspec.convert(row["look"], Look)
    attachments, lacking = [], ""
    for form in look.declared.formats:
        try:
            attachments.append(ReportFile(form, given_out(row, form)))
        except PaperError as error:  # who has no PDF gets the rest
            lacking = f"sent without its PDF: {error}"
    stem = "-".join(filter(None, (row["name"], str(row["day"]), row["recipient"])))
    text = summary(row)
    return DeliveredReport(
        stem=f"{stem}-r{row['revision']}",
        title=text.splitlines()[0],
        text=text,
        html=to_letter(figures, look),
        attachments=tuple(attachments),
        severity=look.declared.severity,
        lacking=lacking,
    )
