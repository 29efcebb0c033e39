"""Sends a report by mail: its figures as the body, its forms attached."""

import contextlib
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from sereno import lazy
from sereno_reports.forms import TYPES
from sereno_reports.parcel import DeliveredReport, UncertainError
from sereno_reports.settings import Mail

SECONDS = 60
"""The longest wait for one answer of the server."""


def send(parcel: DeliveredReport, mail: Mail) -> None:
    """Send `parcel`; it is accepted when this returns.

    Raises OSError where it is not, and UncertainError where that cannot be told.
    """
    smtplib: Any = lazy("smtplib")  # loaded by the first mail
    message = written(parcel, mail)
    opened = smtplib.SMTP_SSL if mail.security == "tls" else smtplib.SMTP
    server = opened(mail.host, mail.port, timeout=SECONDS)
    try:
        if mail.security == "starttls":
            server.starttls(context=lazy("ssl").create_default_context())
        if mail.username:
            server.login(mail.username, mail.password)
        try:
            server.send_message(message)
        except smtplib.SMTPResponseException:
            raise  # the server has said that it does not take it
        except smtplib.SMTPServerDisconnected as error:
            raise UncertainError(f"the server hung up while it was sent: {error}") from error
        except TimeoutError as error:
            raise UncertainError("the server fell silent while it was sent") from error
    finally:
        with contextlib.suppress(OSError):
            server.quit()


def written(parcel: DeliveredReport, mail: Mail) -> EmailMessage:
    """Return the message; the same parcel is the same message."""
    message = EmailMessage()
    message["Subject"] = " ".join(parcel.title.split())
    message["From"] = mail.sender
    message["To"] = parcel.address
    message["Date"] = format_datetime(parcel.made_at)
    message["Message-ID"] = f"<{parcel.message_id}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(parcel.text)
    message.add_alternative(parcel.html, subtype="html")
    for attachment in parcel.attachments:
        maintype, subtype = TYPES[attachment.form]
        message.add_attachment(
            attachment.content,
            maintype=maintype,
            subtype=subtype,
            filename=f"{parcel.stem}.{attachment.form}",
        )
    return message
