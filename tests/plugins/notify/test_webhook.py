"""Webhooks: what arrives, how one knows that it is ours, and what is said when it does not."""

import asyncio
import json
import logging
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from sereno import Attachment, DeliveryError, DeliveryRefusedError
from sereno_notify.settings import Webhook
from sereno_notify.signature import verify
from sereno_notify.unanswered import UnansweredError
from sereno_notify.webhook import WebhookNotifier

from ...servers.supervised import free_port
from .conftest import notification
from .receiver import Receiver

SECRET_PATH = "/services/T000/hunter2"


def notifier(url: str, **chosen: object) -> WebhookNotifier:
    return WebhookNotifier("ops", Webhook(url=url, **chosen))  # type: ignore[arg-type]


async def test_all_there_is_arrives_as_json(receiver: Receiver) -> None:
    await notifier(receiver.url + "/hook", headers={"X-Team": "blue"}).send(notification())
    (request,) = receiver.requests
    assert json.loads(request.body) == {
        "version": 1,
        "id": 7,
        "key": "run_failed etl.sync",
        "kind": "run_failed",
        "severity": "critical",
        "resolved": False,
        "title": "etl.sync failed",
        "text": "Run 12 of etl.sync failed: <no disk> & more",
        "at": "2026-03-01T08:00:00Z",
        "job": "etl.sync",
        "suppressed": 0,
        "message_id": "",
        "html": None,
        "attachments": [],
        "to": [],
        "facts": {"run": 12, "error": "no disk"},
    }
    assert request.path == "/hook"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "sereno-7"
    assert request.headers["x-team"] == "blue"
    assert "x-sereno-signature" not in request.headers


async def test_files_arrive_in_base64_up_to_their_bound_and_the_others_are_named(
    receiver: Receiver,
) -> None:
    files = tuple(
        Attachment(name=name, media_type="text/csv", data=data)
        for name, data in (("a.csv", b"\x00\xff;1"), ("b.csv", bytes(100)), ("c.csv", b""))
    )
    report = notification(
        kind="message", html="<b>12</b>", attachments=files, message_id="m-1", to=()
    )
    await notifier(receiver.url, attachment_bytes=50).send(report)
    body = json.loads(receiver.requests[0].body)
    assert (body["html"], body["message_id"], body["to"]) == ("<b>12</b>", "m-1", [])
    assert [(f["name"], f["size_bytes"], f["data"]) for f in body["attachments"]] == [
        ("a.csv", 4, "AP87MQ=="),
        ("b.csv", 100, None),
        ("c.csv", 0, ""),
    ]
    assert {f["media_type"] for f in body["attachments"]} == {"text/csv"}
    assert receiver.requests[0].headers["idempotency-key"] == "sereno-m-1"


@pytest.mark.parametrize("format", ["slack", "teams"])
async def test_a_chat_names_the_files_that_it_does_not_show(
    receiver: Receiver, format: str
) -> None:
    file = Attachment(name="day<1>.pdf", media_type="application/pdf", data=b"%PDF-hunter2")
    report = notification(kind="message", text="t" * 5_000, attachments=(file,))
    await notifier(receiver.url, format=format).send(report)
    (request,) = receiver.requests
    escaped = b"Not sent here: day&lt;1&gt;.pdf" if format == "slack" else b"day<1>.pdf"
    assert escaped in request.body
    assert b"hunter2" not in request.body
    assert len(request.body) < 5_000


async def test_the_signature_tells_who_sent_it_and_when(receiver: Receiver) -> None:
    await notifier(receiver.url, secret="hunter2").send(notification())
    (request,) = receiver.requests
    value, now = request.headers["x-sereno-signature"], int(time.time())
    assert verify("hunter2", request.body, value, now)
    assert not verify("other", request.body, value, now)
    assert not verify("hunter2", request.body + b" ", value, now)
    assert not verify("hunter2", request.body, value, now + 400)
    assert not verify("hunter2", request.body, value.replace("v1=", "v1=0"), now)
    assert not verify("hunter2", request.body, "nonsense", now)


async def test_slack_gets_a_message_in_which_nothing_is_a_mention(receiver: Receiver) -> None:
    await notifier(receiver.url, format="slack").send(
        notification(title="<!channel> failed", suppressed=3)
    )
    found = json.loads(receiver.requests[0].body)
    assert found["text"] == "[CRITICAL] &lt;!channel&gt; failed"
    (attachment,) = found["attachments"]
    assert attachment["text"] == "Run 12 of etl.sync failed: &lt;no disk&gt; &amp; more"
    assert {"title": "run", "value": "12", "short": True} in attachment["fields"]
    assert {"title": "not told before this", "value": "3", "short": True} in attachment["fields"]


async def test_teams_gets_an_adaptive_card(receiver: Receiver) -> None:
    await notifier(receiver.url, format="teams").send(notification(resolved=True))
    (attachment,) = json.loads(receiver.requests[0].body)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert card["body"][0]["style"] == "good"
    assert card["body"][0]["items"][0]["text"] == "[RESOLVED] etl.sync failed"
    assert {"title": "job", "value": "etl.sync"} in card["body"][2]["facts"]


async def test_teams_reads_no_markdown_in_what_a_job_said(receiver: Receiver) -> None:
    said = "failed: [our wiki](http://evil.example) **now**"
    await notifier(receiver.url, format="teams").send(notification(text=said))
    (attachment,) = json.loads(receiver.requests[0].body)["attachments"]
    told = attachment["content"]["body"][1]
    assert told == {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": said}]}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_what_may_go_well_later_is_to_be_tried_again(status: int, receiver: Receiver) -> None:
    receiver.answers = [status]
    with pytest.raises(DeliveryError, match=f"127.0.0.1 answered {status}") as caught:
        await notifier(receiver.url + SECRET_PATH).send(notification())
    assert not isinstance(caught.value, DeliveryRefusedError)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 410])
async def test_what_is_refused_is_said_so_and_no_redirect_is_followed(
    status: int, receiver: Receiver
) -> None:
    receiver.answers = [status]
    with pytest.raises(DeliveryRefusedError, match=f"answered {status}") as caught:
        await notifier(receiver.url + SECRET_PATH).send(notification())
    assert "hunter2" not in str(caught.value)
    assert len(receiver.requests) == 1


async def test_nobody_there_is_a_sentence_without_the_address() -> None:
    address = f"http://user:hunter2@127.0.0.1:{free_port()}{SECRET_PATH}"
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 cannot be reached: Connect") as caught:
        await notifier(address).send(notification())
    assert "hunter2" not in str(caught.value)


async def test_silence_ends_after_the_timeout_and_may_have_arrived() -> None:
    left, port = asyncio.Event(), free_port()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", port):
        # So long that a busy machine does not take it all to connect: then nothing was sent.
        hook = notifier(f"http://127.0.0.1:{port}/", timeout=timedelta(seconds=2))
        with pytest.raises(UnansweredError, match="did not answer within 2 s"):
            await hook.send(notification())
        await left.wait()


async def test_no_log_names_the_address(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await notifier(receiver.url + SECRET_PATH).send(notification())
    assert "hunter2" not in caplog.text


def test_nothing_heavy_is_imported_before_the_first_message() -> None:
    script = (
        "import sys, sereno_notify.plugin\n"
        "assert not {'httpx', 'httpcore', 'aiosmtplib'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
