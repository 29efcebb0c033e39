"""Writes a report as a message of the kernel's, within the bounds of one."""

from sereno import Attachment, Message
from sereno_reports.folder import file_name
from sereno_reports.forms import TYPES
from sereno_reports.parcel import DeliveredReport, ReportFile

MOST_BYTES = 10_000_000
MOST_CHARACTERS = 1_000_000
_MOST_TITLE = 300


def written(parcel: DeliveredReport, to: tuple[str, ...]) -> tuple[Message, str]:
    """Return the message to `to`, and what it lacks, or "".

    What is too long for a message stays away, the largest file first: the rest arrives.
    """
    files, left_out = _fitting(parcel.attachments)
    lacking = [parcel.lacking] if parcel.lacking else []
    lacking += [
        f"sent without its {file.form.upper()}: with {len(file.content)} bytes, the files are over "
        f"the limit of {MOST_BYTES}"
        for file in left_out
    ]
    html: str | None = parcel.html
    if len(parcel.html) > MOST_CHARACTERS:
        html = None
        lacking.append(f"sent as text: its body has over {MOST_CHARACTERS} characters")
    stem = file_name(parcel.stem)
    message = Message(
        " ".join(parcel.title.split())[:_MOST_TITLE],
        parcel.text[:MOST_CHARACTERS],
        html=html,
        attachments=tuple(
            Attachment(
                name=f"{stem}.{file.form}",
                media_type="/".join(TYPES[file.form]),
                data=file.content,
            )
            for file in files
        ),
        to=to,
        severity=parcel.severity,
    )
    return message, "; ".join(lacking)


def _fitting(files: tuple[ReportFile, ...]) -> tuple[list[ReportFile], list[ReportFile]]:
    kept, left_out = list(files), []
    while sum(len(file.content) for file in kept) > MOST_BYTES:
        largest = max(kept, key=lambda file: len(file.content))
        kept.remove(largest)
        left_out.append(largest)
    return kept, left_out
