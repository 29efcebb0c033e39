"""What people are told: the one contract between who has something to say and what carries it."""

import msgspec

from sereno.model.errors import DeclarationError
from sereno.model.policies import Severity
from sereno.model.registrable import check_text

MAX_TITLE = 300
MAX_TEXT = 1_000_000
"""Characters, of text and of HTML."""
MAX_BYTES = 10_000_000
"""Of all attachments of one message."""
_MOST = 100


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes with a message. `name`: as the reader sees it; `media_type`: "text/csv"."""

    name: str
    media_type: str
    data: bytes


class Message(msgspec.Struct, frozen=True):
    """What somebody is to be told.

    `title`: one line. `html`: the same as `text` for who can show it. `to`: addresses; with any,
    only notifiers that take addresses carry it, and to these alone.
    """

    title: str
    text: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    to: tuple[str, ...] = ()
    severity: Severity = "info"


def checked_message(message: object) -> Message:
    """Return `message` as it is kept; raise DeclarationError where it cannot be."""
    if not isinstance(message, Message):
        raise DeclarationError(f"{message!r:.100} is no Message")
    try:
        fitting = msgspec.convert(msgspec.structs.asdict(message), Message, from_attributes=True)
    except msgspec.ValidationError as error:
        raise DeclarationError(f"message {message.title!r:.100}: {error}") from error
    subject = f"message {fitting.title!r:.100}"
    check_text(subject, "title", fitting.title, MAX_TITLE)
    check_text(subject, "text", fitting.text, MAX_TEXT)
    check_text(subject, "html", fitting.html or "", MAX_TEXT)
    if not fitting.title.strip() or "\n" in fitting.title or "\r" in fitting.title:
        raise DeclarationError(f"{subject}: title must be one line, and not an empty one")
    if len(fitting.attachments) > _MOST or len(fitting.to) > _MOST:
        raise DeclarationError(f"{subject}: it takes {_MOST} attachments and addresses at most")
    _check_files(subject, fitting.attachments)
    for address in fitting.to:
        check_text(subject, "an address", address, MAX_TITLE)
        if not address.strip() or "\n" in address or "\r" in address:
            raise DeclarationError(f"{subject}: {address!r} is no address")
    return fitting


def _check_files(subject: str, files: tuple[Attachment, ...]) -> None:
    for file in files:
        for what, text in (("name", file.name), ("media type", file.media_type)):
            check_text(subject, f"the {what} of an attachment", text, MAX_TITLE)
        if not file.name or "/" not in file.media_type or "\n" in file.name + file.media_type:
            raise DeclarationError(
                f"{subject}: an attachment is named {file.name!r} and of {file.media_type!r}; it "
                'needs a name, and a type such as "text/csv"'
            )
    if (size := sum(len(file.data) for file in files)) > MAX_BYTES:
        raise DeclarationError(
            f"{subject}: its attachments have {size} bytes, the limit is {MAX_BYTES}; put the file "
            "where people find it, and its address into the text"
        )
