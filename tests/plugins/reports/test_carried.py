"""Reports come to people by a real replica: a mail server and a web server at the other end."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from sereno_reports.commands import reports
from sereno_reports.folders import found

from ...integration.cli_scene import Scene, scene
from ...servers.waiting import wait_until
from ..notify.receiver import Receiver, receiving
from .inbox import Inbox, receiving_mail
from .test_recipients import CRM, EXAMPLES

__all__ = ["scene"]

QUICK = """
[notify]
retry = { attempts = 5, delay = "100ms" }
[jobs."reports.deliver"]
schedule = "every 1s"
"""
DAY = "2024-11-19"
MADE = "SELECT count(*) FROM sereno_reports.report"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with receiving_mail() as box:
        yield box


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as web:
        yield web


class Replicas:
    """Starts replicas that mail to `inbox`."""

    def __init__(self, scene: Scene, folder: Path, inbox: Inbox) -> None:
        self.scene = scene
        self._file = folder / "reports.toml"
        self._mail = (
            f"[plugins.notify.emails.mail]\nhost = '127.0.0.1'\nport = {inbox.port}\n"
            "security = 'none'\nsender = 'r@example.com'\nto = ['team@example.com']\n"
        )

    @contextmanager
    def one(self, settings: str) -> Iterator[subprocess.Popen[str]]:
        self._file.write_text(f"{settings}\n{self._mail}")
        options = ("run", "--http-port", "0", "--config", str(self._file))
        with self.scene.started(*options) as replica:
            wait_until(lambda: self.scene.json("jobs"), "a leader that has registered its jobs")
            yield replica
            replica.send_signal(signal.SIGTERM)
            _, err = replica.communicate(timeout=30)
            assert replica.returncode == 0, err

    def make(self, report: str) -> None:
        run = self.scene.json("trigger", f"reports.{report}", "-p", f"day={DAY}", "--wait")
        assert run["state"] == "succeeded", run

    def told(self, *args: str) -> str:
        """Return what ``sereno reports deliveries`` says."""
        kernel = SimpleNamespace(database_url=self.scene.dsn)
        result = CliRunner().invoke(reports, ["deliveries", *args], obj=kernel)
        assert result.exit_code == 0, result.output
        return result.stdout

    def deliveries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.told("--json"))
        return found

    def until(self, *states: str) -> list[dict[str, Any]]:
        """Return the deliveries, oldest first, as soon as they have these states."""
        wait_until(
            lambda: sorted(one["state"] for one in self.deliveries()) == sorted(states),
            f"deliveries that are {states}",
        )
        return self.deliveries()[::-1]


@pytest.fixture
def replicas(scene: Scene, tmp_path: Path, inbox: Inbox) -> Replicas:
    found.cache_clear()
    return Replicas(scene, tmp_path, inbox)


def test_a_mail_that_is_refused_is_tried_again_and_the_report_is_not_made_again(
    replicas: Replicas, inbox: Inbox
) -> None:
    inbox.answers = ["451 not now", "hang up"]
    with replicas.one(
        QUICK + "[plugins.reports]\nrecipients = { scheduler = ['ceo@example.com'] }"
    ):
        replicas.make("scheduler")
        (told,) = replicas.until("sent")
        replicas.make("scheduler")  # the same report: nobody hears of it twice
    assert (told["notifier"], told["attempts"], told["channel"]) == ("mail", 3, "mail")
    (message,) = inbox.messages
    assert inbox.tries == 3
    assert message["To"] == "ceo@example.com"
    assert message["Message-ID"] == f"<sereno.{told['message_id']}@example.com>"
    names = [part.get_filename() for part in message.iter_attachments()]
    assert names == [f"scheduler-{DAY}-r1.html", f"scheduler-{DAY}-r1.xlsx"]
    body = message.get_body(("html",))
    assert body is not None
    assert body.get_content().startswith("<!doctype html>")
    assert replicas.scene.sql(MADE) == [(1,)]
    assert len(replicas.deliveries()) == 1


def test_at_most_once_a_mail_that_may_have_arrived_is_unknown(
    replicas: Replicas, inbox: Inbox
) -> None:
    inbox.answers = ["hang up"]
    settings = "[notify]\ndelivery = 'at_most_once'\n" + QUICK.replace("[notify]", "")
    with replicas.one(
        settings + "[plugins.reports]\nrecipients = { scheduler = ['ceo@example.com'] }"
    ):
        replicas.make("scheduler")
        (told,) = replicas.until("unknown")
    assert told["attempts"] == 1
    assert inbox.messages == []
    assert "unknown   mail ceo@example.com by mail" in replicas.told()


def test_a_replica_that_is_killed_before_it_hands_over_leaves_that_to_the_next(
    replicas: Replicas, inbox: Inbox
) -> None:
    settings = QUICK.replace("every 1s", "0 0 1 1 *")
    settings += "[plugins.reports]\nrecipients = { scheduler = ['ceo@example.com'] }"
    options = ("run", "--http-port", "0", "--config", str(replicas._file))
    replicas._file.write_text(f"{settings}\n{replicas._mail}")
    with replicas.scene.started(*options) as first:
        wait_until(lambda: replicas.scene.json("jobs"), "a leader")
        replicas.make("scheduler")
        first.kill()
        first.wait()
    assert [one["state"] for one in replicas.deliveries()] == ["queued"]
    with replicas.one(settings.replace("0 0 1 1 *", "every 1s")):
        replicas.until("sent")
    assert len(inbox.messages) == 1
    assert replicas.scene.sql(MADE) == [(1,)]


def test_each_ceo_is_mailed_the_report_of_their_own_company_alone(
    replicas: Replicas, inbox: Inbox
) -> None:
    replicas.scene.sql(CRM)
    with replicas.one(
        QUICK + f"[plugins.reports]\nreports_dirs = ['{EXAMPLES}']\nzone = 'Europe/Madrid'"
    ):
        replicas.make("crm_daily")
        replicas.until("sent", "sent")
    mails = {mail["To"]: mail.get_body(("html",)) for mail in inbox.messages}
    assert set(mails) == {"ana@one.example", "bob@two.example"}
    ana, bob = (str(mails[who].get_content()) for who in sorted(mails))  # type: ignore[union-attr]
    assert ("Luis" in ana, "Sue" in ana) == (True, False)
    assert ("Luis" in bob, "Sue" in bob) == (False, True)


def test_a_routed_report_is_posted_whole_to_the_webhook_that_the_route_names(
    replicas: Replicas, inbox: Inbox, receiver: Receiver
) -> None:
    settings = (
        f"[plugins.reports]\nrouted = ['scheduler']\nformats = {{ scheduler = ['csv'] }}\n"
        f"[plugins.notify.webhooks.hook]\nurl = '{receiver.url}/hook'\n"
        "[notify.routes.reports]\nto = ['hook']\njobs = ['reports.deliver']\nseverity = 'info'\n"
        "kinds = ['message']\n"
    )
    receiver.answers = [503]
    with replicas.one(QUICK + settings):
        replicas.make("scheduler")
        (told,) = replicas.until("sent")
    assert (told["channel"], told["notifier"], told["attempts"]) == ("route", "hook", 2)
    first, last = receiver.requests
    assert first.headers["idempotency-key"] == last.headers["idempotency-key"]
    body = json.loads(last.body)
    assert [file["name"] for file in body["attachments"]] == [f"scheduler-{DAY}-r1.csv"]
    assert body["html"].startswith("<!doctype html>")
    assert body["message_id"] == told["message_id"]
    assert inbox.messages == []


def test_what_no_notifier_carries_is_shown_as_unheard(replicas: Replicas, inbox: Inbox) -> None:
    settings = (
        "[plugins.reports]\nrecipients = { scheduler = ['ceo@example.com'] }\n"
        "[notify.routes.trouble]\nto = ['mail']\n"
    )
    with replicas.one(QUICK + settings):
        replicas.make("scheduler")
        (told,) = replicas.until("unheard")
    assert told["notifier"] is None
    assert inbox.messages == []
