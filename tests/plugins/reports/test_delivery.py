"""Kept reports come to whom they are for: once made, tried until they arrive."""

import asyncio
import email.policy
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope

from sereno.testing import run_context
from sereno_reports.deliver import deliver
from sereno_reports.folder import file_name
from sereno_reports.sender import DeliveryFailedError
from sereno_reports.settings import Settings

from ...servers.supervised import free_port
from .conftest import Make
from .exchange import Exchange

Deliver = Callable[..., Awaitable[Any]]
DUE = "UPDATE sereno_reports.delivery SET next_at = clock_timestamp() WHERE state <> 'sent'"


class Inbox:
    """A mail server; `answers`: what it says to the next messages, before it takes any."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answers: list[str] = []
        self.lock = threading.Lock()

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        with self.lock:
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


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, dict[str, Any]]]:
    found = Inbox()
    port = free_port()
    controller = Controller(found, hostname="127.0.0.1", port=port)
    controller.start()
    mail = {"host": "127.0.0.1", "port": port, "sender": "r@example.com", "security": "none"}
    yield found, {"mail": mail, "recipients": {"daily": ["ceo@example.com"]}}
    controller.stop()


@pytest.fixture
def delivered(database: str) -> Deliver:
    async def run(**settings: Any) -> Any:
        chosen = msgspec.convert(settings, Settings)
        return await deliver.function(run_context(deliver, settings=chosen, database_url=database))

    return run


async def state(pbx: Exchange) -> list[tuple[Any, ...]]:
    rows = await pbx.connection.fetch(
        "SELECT channel, state, attempts FROM sereno_reports.delivery ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def one_call(pbx: Exchange) -> None:
    await pbx.queued(pbx.at("2024-11-19T10:00:00"), wait=5, talk=60)
    await pbx.load()


async def test_a_report_is_put_into_a_folder_whole_and_once(
    pbx: Exchange, make: Make, delivered: Deliver, tmp_path: Path
) -> None:
    await one_call(pbx)
    await make(deliver_dir=str(tmp_path))
    await make(deliver_dir=str(tmp_path))  # made again, it is the same report
    assert (await delivered(deliver_dir=str(tmp_path)))["sent"] == 1
    assert sorted(os.listdir(tmp_path)) == [
        "daily-2024-11-19-r1.html",
        "daily-2024-11-19-r1.pdf",
        "daily-2024-11-19-r1.xlsx",
    ]
    assert (await delivered(deliver_dir=str(tmp_path)))["sent"] == 0


async def test_a_revision_is_delivered_and_a_day_that_is_not_over_is_not(
    pbx: Exchange, make: Make, delivered: Deliver, tmp_path: Path
) -> None:
    await one_call(pbx)
    await make({"include_today": True}, deliver_dir=str(tmp_path), recheck_days=0)
    assert await state(pbx) == []
    await make(deliver_dir=str(tmp_path), recheck_days=0)
    await one_call(pbx)
    await make(deliver_dir=str(tmp_path), recheck_days=0)
    assert (await delivered(deliver_dir=str(tmp_path)))["sent"] == 2
    assert (tmp_path / "daily-2024-11-19-r2.html").exists()


async def test_a_folder_that_is_away_is_tried_again_and_then_given_up(
    pbx: Exchange, make: Make, delivered: Deliver, tmp_path: Path
) -> None:
    away = str(tmp_path / "away")
    await one_call(pbx)
    await make(deliver_dir=away, recheck_days=0)
    assert (await delivered(deliver_dir=away, delivery_attempts=2))["waiting"] == 1
    assert (await delivered(deliver_dir=away, delivery_attempts=2))["waiting"] == 0  # not yet
    await pbx.connection.execute(DUE)
    with pytest.raises(DeliveryFailedError, match="is no folder; make it, or set"):
        await delivered(deliver_dir=away, delivery_attempts=2)
    assert await state(pbx) == [("folder", "failed", 2)]
    assert await pbx.connection.fetchval("SELECT count(*) FROM sereno_reports.report") == 1


async def test_where_no_pdf_can_be_made_the_rest_is_delivered_and_that_is_told(
    pbx: Exchange,
    make: Make,
    delivered: Deliver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)  # as where it is not installed
    await one_call(pbx)
    await make(deliver_dir=str(tmp_path), recheck_days=0)
    assert (await delivered(deliver_dir=str(tmp_path)))["sent"] == 1
    names = sorted(os.listdir(tmp_path))
    assert names == ["daily-2024-11-19-r1.html", "daily-2024-11-19-r1.xlsx"]
    error = await pbx.connection.fetchval("SELECT error FROM sereno_reports.delivery")
    assert "sent without its PDF: a PDF needs WeasyPrint" in error


async def test_a_mail_has_the_page_and_its_other_forms(
    pbx: Exchange, make: Make, delivered: Deliver, inbox: tuple[Inbox, dict[str, Any]]
) -> None:
    box, settings = inbox
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    await delivered(**settings)
    (message,) = box.messages
    assert message["To"] == "ceo@example.com"
    assert "martes, 19 de noviembre de 2024" in message["Subject"]
    body = message.get_body(("html",))
    assert body is not None
    assert body.get_content().startswith("<!doctype html>")
    names = [part.get_filename() for part in message.iter_attachments()]
    assert names == [f"daily-2024-11-19-r1.{form}" for form in ("html", "pdf", "xlsx")]


async def test_a_mail_that_is_refused_is_tried_again_under_the_same_message_id(
    pbx: Exchange, make: Make, delivered: Deliver, inbox: tuple[Inbox, dict[str, Any]]
) -> None:
    box, settings = inbox
    box.answers = ["hang up"]
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    assert (await delivered(**settings))["waiting"] == 1
    await pbx.connection.execute(DUE)
    await delivered(**settings)
    (message,) = box.messages
    kept = await pbx.connection.fetchval("SELECT message_id FROM sereno_reports.delivery")
    assert message["Message-ID"] == f"<{kept}>"
    assert await state(pbx) == [("mail", "sent", 2)]


async def test_at_most_once_what_may_have_arrived_is_unknown_and_not_sent_again(
    pbx: Exchange, make: Make, delivered: Deliver, inbox: tuple[Inbox, dict[str, Any]]
) -> None:
    box, settings = inbox
    settings = settings | {"delivery": "at_most_once"}
    box.answers = ["451 later", "hang up"]
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    assert (await delivered(**settings))["waiting"] == 1  # it was refused: that is known
    await pbx.connection.execute(DUE)
    with pytest.raises(DeliveryFailedError, match="hung up while it was sent"):
        await delivered(**settings)
    await pbx.connection.execute(DUE)
    await delivered(**settings)
    assert await state(pbx) == [("mail", "unknown", 2)]
    assert box.messages == []


@pytest.mark.parametrize(
    ("delivery", "ends"), [("at_least_once", ("sent", 2)), ("at_most_once", ("unknown", 1))]
)
async def test_what_a_dead_sender_left_behind_is_sent_again_or_unknown(
    pbx: Exchange,
    make: Make,
    delivered: Deliver,
    tmp_path: Path,
    delivery: str,
    ends: tuple[str, int],
) -> None:
    await one_call(pbx)
    await make(deliver_dir=str(tmp_path), recheck_days=0)
    await pbx.connection.execute(
        "UPDATE sereno_reports.delivery SET state = 'sending', attempts = 1"
    )
    await delivered(deliver_dir=str(tmp_path), delivery=delivery)
    assert await state(pbx) == [("folder", *ends)]


async def test_two_senders_at_once_send_each_report_once(
    pbx: Exchange, make: Make, delivered: Deliver, inbox: tuple[Inbox, dict[str, Any]]
) -> None:
    box, settings = inbox
    settings["recipients"] = {"daily": [f"{n}@example.com" for n in range(6)]}
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    await asyncio.gather(*(delivered(**settings) for _ in range(3)))
    assert sorted(message["To"] for message in box.messages) == settings["recipients"]["daily"]


@pytest.mark.parametrize("stem", ["a/../../b", "..", "x\x00y", "José Ñ", "e" * 300])
def test_what_a_recipient_is_called_makes_no_path(stem: str) -> None:
    name = file_name(stem)
    assert "/" not in name
    assert "\x00" not in name
    assert not name.startswith(".")
    assert 0 < len(name.encode()) < 255
