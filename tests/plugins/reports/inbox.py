"""A real mail server that keeps what it takes."""

import email.policy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope

from ...servers.supervised import free_port


class Inbox:
    """`answers`: what it says to the next messages, before it takes any; `tries`: of sending."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[EmailMessage] = []
        self.answers: list[str] = []
        self.tries = 0
        self.lock = threading.Lock()

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        with self.lock:
            self.tries += 1
            answer = self.answers.pop(0) if self.answers else ""
            if answer == "hang up":
                server.transport.abort()
                return "451 gone"
            if not answer:
                content = bytes(envelope.content or b"")
                parsed = BytesParser(policy=email.policy.default).parsebytes(content)
                assert isinstance(parsed, EmailMessage)
                self.messages.append(parsed)
        return answer or "250 taken"


@contextmanager
def receiving_mail() -> Iterator[Inbox]:
    found = Inbox(free_port())
    controller = Controller(
        found, hostname="127.0.0.1", port=found.port, data_size_limit=50_000_000
    )
    controller.start()
    try:
        yield found
    finally:
        controller.stop()
