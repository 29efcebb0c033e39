"""Mail: what arrives at a real SMTP server, and what is said when it does not."""

import asyncio
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from sereno import Attachment, DeliveryError, DeliveryRefusedError
from sereno_notify.mail import EmailNotifier, message
from sereno_notify.settings import Email
from sereno_notify.unanswered import UnansweredError

from ...servers.supervised import free_port
from ...servers.waiting import wait_until
from .conftest import notification


class Box:
    """Takes mail for everybody but those at ``nowhere.example``."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[list[str]] = []
        self.answer = "250 OK"
        self.hangs_up = False

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address.endswith("@nowhere.example"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if self.hangs_up:
            server.transport.abort()
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.to.append(list(envelope.rcpt_tos))
        return self.answer


def let_in(server: Any, session: Any, envelope: Any, mechanism: str, auth: Any) -> AuthResult:
    known = isinstance(auth, LoginPassword) and auth.password == b"hunter2"
    return AuthResult(success=known, handled=False)


@pytest.fixture
def box() -> Iterator[tuple[Box, int]]:
    found, port = Box(), free_port()
    controller = Server(
        found,
        hostname="127.0.0.1",
        port=port,
        authenticator=let_in,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield found, port
    finally:
        wait_until(lambda: not controller.connected, "the clients have left")
        controller.stop()


class Server(Controller):
    """Knows who is still connected: it closes nothing when it is stopped."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connected: set[SMTP] = set()

    def factory(self) -> SMTP:
        connected = self.connected

        class Session(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connected.add(self)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                super().connection_lost(error)
                connected.discard(self)

        return Session(self.handler, **self.SMTP_kwargs)


def notifier(port: int, **chosen: Any) -> EmailNotifier:
    parts = {"sender": "sereno@example.com", "to": ("ops@example.com", "ana@example.com")}
    settings = {"host": "127.0.0.1", "port": port, "security": "none", **parts, **chosen}
    return EmailNotifier("mail", Email(**settings))


async def test_a_mail_arrives_at_all_its_addresses(box: tuple[Box, int]) -> None:
    found, port = box
    await notifier(port).send(notification())
    (mail,) = found.mails
    assert found.to == [["ops@example.com", "ana@example.com"]]
    assert mail["Subject"] == "[CRITICAL] etl.sync failed"
    assert mail["From"] == "sereno@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    assert "Run 12 of etl.sync failed: <no disk> & more" in text
    assert "run: 12" in text
    assert "at: 2026-03-01 08:00:00 UTC" in text


async def test_what_is_over_stands_in_the_thread_of_what_began(box: tuple[Box, int]) -> None:
    found, port = box
    mail = notifier(port)
    await mail.send(notification())
    await mail.send(notification(id=8, resolved=True, title="etl.sync succeeded again"))
    first, last = found.mails
    assert last["Subject"] == "[RESOLVED] etl.sync succeeded again"
    assert first["References"] == last["References"]
    assert first["Message-ID"] != last["Message-ID"]


async def test_a_line_break_in_a_title_makes_no_header(box: tuple[Box, int]) -> None:
    found, port = box
    await notifier(port).send(notification(title="a\r\nBcc: all@example.com"))
    assert found.mails[0]["Bcc"] is None
    assert found.mails[0]["Subject"] == "[CRITICAL] a Bcc: all@example.com"


async def test_a_user_logs_in_and_a_wrong_password_is_not_tried_again_nor_shown(
    box: tuple[Box, int],
) -> None:
    found, port = box
    await notifier(port, username="ana", password="hunter2").send(notification())
    assert len(found.mails) == 1
    with pytest.raises(DeliveryRefusedError, match="answered 535") as caught:
        await notifier(port, username="ana", password="swordfish").send(notification())
    assert "swordfish" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_recipients_that_nobody_knows_are_not_tried_again(box: tuple[Box, int]) -> None:
    _, port = box
    with pytest.raises(DeliveryRefusedError, match="answered 550"):
        await notifier(port, to=("a@nowhere.example",)).send(notification())


async def test_a_server_that_is_busy_is_tried_again(box: tuple[Box, int]) -> None:
    found, port = box
    found.answer = "451 later"
    with pytest.raises(DeliveryError, match="answered 451") as caught:
        await notifier(port).send(notification())
    assert not isinstance(caught.value, DeliveryRefusedError)


async def test_a_server_that_hangs_up_in_the_middle_may_have_taken_it(
    box: tuple[Box, int],
) -> None:
    found, port = box
    found.hangs_up = True
    with pytest.raises(UnansweredError, match=r"127\.0\.0\.1 gave no answer: SMTPServer"):
        await notifier(port).send(notification())


async def test_nothing_is_sent_in_the_clear_where_tls_was_asked_for(box: tuple[Box, int]) -> None:
    found, port = box
    chosen = {"username": "ana", "password": "hunter2"}
    with pytest.raises(DeliveryError) as caught:
        await notifier(port, security="starttls", **chosen).send(notification())
    assert "hunter2" not in str(caught.value)
    assert found.mails == []


async def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 cannot be reached: SMTPConnect"):
        await notifier(free_port()).send(notification())


def test_no_word_of_a_job_adds_a_header_or_hides_a_letter() -> None:
    hostile = "a\r\nBcc: eve@example.com\r\n\r\nb\x00c\x1b[2Jd\u202ee\ud800f\x85g"
    mail = message(notification(title=hostile, text=hostile), "a@example.com", ("b@example.com",))

    found = message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert found["Bcc"] is None
    assert found["Subject"].startswith("[CRITICAL] a Bcc: eve@example.com b")
    assert r"b\x00c\x1b[2Jd\u202ee\ud800f" in found["Subject"]
    assert r"b\x00c\x1b[2Jd\u202ee\ud800f" in found.get_content()  # type: ignore[attr-defined]


async def test_what_a_job_says_arrives_with_its_html_files_and_addresses(
    box: tuple[Box, int],
) -> None:
    found, port = box
    said = notification(
        kind="message",
        severity="info",
        title="Calls of today",
        text="12 calls",
        html="<b>12</b> calls",
        to=("ana@example.com",),
        attachments=(
            Attachment(name="día\r\nX: y.csv", media_type="text/csv", data=b"a;b\n\x00\xff"),
        ),
        message_id="6f1c",
    )
    chosen = Email(
        host="127.0.0.1",
        port=port,
        security="none",
        sender="sereno@example.com",
        to=("ops@example.com",),
    )
    await EmailNotifier("mail", chosen).send(said)

    (mail,) = found.mails
    assert found.to == [["ana@example.com"]]
    assert mail["To"] == "ana@example.com"
    assert mail["Subject"] == "Calls of today"
    assert mail["Message-ID"] == "<sereno.6f1c@example.com>"
    assert mail["X"] is None
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().strip() == "12 calls"
    assert html.get_content().strip() == "<b>12</b> calls"
    (file,) = mail.iter_attachments()
    assert file.get_content_type() == "text/csv"
    assert file.get_payload(decode=True) == b"a;b\n\x00\xff"
    assert "\n" not in str(file.get_filename())
