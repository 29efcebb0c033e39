"""The forms in which a kept report is given out."""

from typing import Any, Literal

import msgspec

from sereno_reports.figures import Figures
from sereno_reports.look import Look
from sereno_reports.page import to_html
from sereno_reports.paper import to_pdf
from sereno_reports.settings import Language
from sereno_reports.sheet import MARK, to_csv
from sereno_reports.workbook import to_xlsx

Form = Literal["html", "pdf", "xlsx", "csv", "json"]
FORMS: tuple[Form, ...] = ("html", "pdf", "xlsx", "csv", "json")
TYPES = {
    "html": ("text", "html"),
    "pdf": ("application", "pdf"),
    "xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "csv": ("text", "csv"),
    "json": ("application", "json"),
}


class FormError(Exception):
    """A report cannot be given out in this form."""


def given_out(
    row: dict[str, Any], form: Form, *, language: Language | None = None, table: str | None = None
) -> bytes:
    """Return the kept report `row` as `form`; equal reports are equal bytes.

    `language`: another than it was kept in. `table`: one table alone, of a CSV. Raises FormError,
    and PaperError where no PDF can be made.
    """
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(row["figures"]), indent=2) + b"\n"
    if "declared" not in (row["look"] or {}):  # its figures have another form
        if form in ("html", "csv") and language is None and table is None:
            return _text(form, row[form])
        raise FormError(
            f"the report of {row['day']} was made by an earlier version, which kept html, csv and "
            "json; make it again for other forms"
        )
    figures = msgspec.convert(row["figures"], Figures)
    look = msgspec.convert(row["look"], Look)
    if language is not None:
        look = msgspec.structs.replace(look, language=language)
    if form == "xlsx":
        return to_xlsx(figures, look)
    if form == "csv":
        return _text(form, to_csv(figures, look, _known(table, look)))
    html = row["html"] if language is None else to_html(figures, look)
    return to_pdf(html) if form == "pdf" else _text(form, html)


def _text(form: Form, text: str) -> bytes:
    return ((MARK if form == "csv" else "") + text).encode()


def _known(table: str | None, look: Look) -> str | None:
    known = [one.name for one in look.declared.tables]
    if table is not None and table not in known:
        raise FormError(f"table '{table}': there is none; there are {', '.join(known)}")
    return table
