"""The notifier that sends mail."""

import re
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from hashlib import blake2b
from typing import Any

from sereno import DeliveryError, DeliveryRefusedError, Notification, Notifier, lazy
from sereno_notify.payload import facts, headline
from sereno_notify.settings import Email
from sereno_notify.unanswered import UnansweredError

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


@cache
def _smtp() -> Any:
    return lazy("aiosmtplib")  # for who sends mail


class EmailNotifier(Notifier):
    """Sends each notification to all its addresses, as one thread for each thing that is told."""

    def __init__(self, name: str, chosen: Email) -> None:
        self._name = name
        self._chosen = chosen

    @property
    def name(self) -> str:
        """The name of its table."""
        return self._name

    takes_addresses = True

    async def send(self, notification: Notification) -> None:
        """Hand `notification` to the mail server. Raises DeliveryError, and UnansweredError."""
        smtp, chosen = _smtp(), self._chosen
        is_let_in = False
        try:
            told = message(notification, chosen.sender, notification.to or chosen.to)
            client = smtp.SMTP(
                hostname=chosen.host,
                port=chosen.port,
                username=chosen.username,
                password=chosen.password,
                use_tls=chosen.security == "tls",
                start_tls=chosen.security == "starttls",
                timeout=chosen.timeout.total_seconds(),
            )
            async with client:
                is_let_in = True
                await client.send_message(told)
        except smtp.SMTPRecipientsRefused as error:
            codes = sorted({refused.code for refused in error.recipients})
            raise _fault(chosen.host, codes[0], "to every recipient") from None
        except smtp.SMTPResponseException as error:
            raise _fault(chosen.host, error.code, type(error).__name__) from None
        except (smtp.SMTPException, OSError, ValueError) as error:
            # What the library says may hold what was sent, the password too.
            if is_let_in and isinstance(error, OSError):  # it hung up, or fell silent
                raise UnansweredError(
                    f"{chosen.host} gave no answer: {type(error).__name__}"
                ) from None
            reason = f"{chosen.host} cannot be reached: {type(error).__name__}"
            raise DeliveryError(reason) from None


def message(notification: Notification, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return the mail: its subject is the headline, what is over answers what began."""
    found = EmailMessage()
    domain = sender.rpartition("@")[2]
    thread = blake2b(notification.key.encode(), digest_size=10).hexdigest()
    found["From"] = sender
    found["To"] = ", ".join(to)
    found["Subject"] = _text(" ".join(headline(notification).split()))
    found["Date"] = format_datetime(notification.at)
    found["Message-ID"] = f"<sereno.{notification.message_id or notification.id}@{domain}>"
    found["References"] = f"<sereno.{thread}@{domain}>"
    found["Auto-Submitted"] = "auto-generated"
    found["X-Sereno-Severity"] = notification.severity
    lines = [f"{name}: {value}" for name, value in facts(notification).items()]
    found.set_content(
        _text("\n".join([notification.text, *([""] if lines else []), *lines])) + "\n"
    )
    if notification.html is not None:
        found.add_alternative(_text(notification.html), subtype="html")
    for file in notification.attachments:
        kind, _, subtype = file.media_type.partition("/")
        found.add_attachment(
            file.data, maintype=kind, subtype=subtype, filename=" ".join(_text(file.name).split())
        )
    return found


def _text(told: str) -> str:
    """Return `told` with what no mail may hold, or would hide letters of it, written out."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), told)


def _fault(host: str, code: int, what: str) -> DeliveryError:
    kind = DeliveryRefusedError if code >= 500 else DeliveryError
    return kind(f"{host} answered {code} ({what})")
