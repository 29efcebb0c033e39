"""Kept reports come to whom they are for: once made, tried until they arrive."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sereno import RunSuperseded
from sereno.testing import run_context
from sereno_reports.deliver import deliver
from sereno_reports.folder import file_name
from sereno_reports.parcel import DeliveredReport, ReportFile
from sereno_reports.report_message import MOST_BYTES, MOST_CHARACTERS, written
from sereno_reports.sender import DeliveryFailedError
from sereno_reports.settings import Settings

from .conftest import Make
from .exchange import Exchange

DUE = "UPDATE sereno_reports.delivery SET next_at = clock_timestamp() WHERE state <> 'sent'"


class Deliver:
    """Runs the job that delivers; `messages`: what it has told, of all its runs."""

    def __init__(self, database: str) -> None:
        self._database = database
        self.messages: list[Any] = []

    async def __call__(self, *, superseded: bool = False, **settings: Any) -> Any:
        chosen = msgspec.convert(settings, Settings)
        run = run_context(deliver, settings=chosen, database_url=self._database)
        if superseded:
            run.reporter.supersede()
        try:
            return await deliver.function(run)
        finally:
            self.messages += run.reporter.messages


@pytest.fixture
def make(make: Make) -> Make:
    """Make a report that is delivered as a page alone unless `formats` say more: a PDF takes a
    second."""

    async def page(*args: Any, **settings: Any) -> Any:
        return await make(*args, **{"formats": {"daily": ["html"]}, **settings})

    return page


@pytest.fixture
def delivered(database: str) -> Deliver:
    return Deliver(database)


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
    await make(deliver_dir=str(tmp_path), formats={})
    await make(deliver_dir=str(tmp_path), formats={})  # made again, it is the same report
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
    await make(formats={}, deliver_dir=str(tmp_path), recheck_days=0)
    assert (await delivered(deliver_dir=str(tmp_path)))["sent"] == 1
    names = sorted(os.listdir(tmp_path))
    assert names == ["daily-2024-11-19-r1.html", "daily-2024-11-19-r1.xlsx"]
    error = await pbx.connection.fetchval("SELECT error FROM sereno_reports.delivery")
    assert "sent without its PDF: a PDF needs WeasyPrint" in error


async def test_a_mail_is_a_message_of_the_kernel_s_and_handed_over_once(
    pbx: Exchange, make: Make, delivered: Deliver
) -> None:
    settings = {
        "recipients": {"daily": ["ceo@example.com", "cfo@example.com"]},
        "formats": {"daily": ["pdf", "csv"]},
        "severities": {"daily": "warning"},
    }
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    assert await state(pbx) == [("mail", "queued", 0)] * 2
    assert (await delivered(**settings))["handed"] == 2
    assert (await delivered(**settings))["handed"] == 0
    first, second = delivered.messages
    assert (first.to, second.to) == (("ceo@example.com",), ("cfo@example.com",))
    assert "martes, 19 de noviembre de 2024" in first.title
    assert first.severity == "warning"
    assert first.html.startswith("<!doctype html>")
    files = [(file.name, file.media_type) for file in first.attachments]
    assert files == [
        ("daily-2024-11-19-r1.pdf", "application/pdf"),
        ("daily-2024-11-19-r1.csv", "text/csv"),
    ]
    assert first.attachments[0].data.startswith(b"%PDF-")
    assert await state(pbx) == [("mail", "handed", 1)] * 2
    ids = await pbx.connection.fetch("SELECT DISTINCT message_id FROM sereno_reports.delivery")
    assert len(ids) == 2


async def test_what_was_handed_over_and_not_noted_is_the_same_message_again(
    pbx: Exchange, make: Make, delivered: Deliver
) -> None:
    settings = {"recipients": {"daily": ["ceo@example.com"]}}
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    known = []
    for _ in range(2):
        await delivered(**settings)
        known += await pbx.connection.fetch("SELECT message_id FROM sereno_reports.delivery")
        await pbx.connection.execute("UPDATE sereno_reports.delivery SET state = 'queued'")
    assert known[0] == known[1]


async def test_a_run_that_is_another_s_by_now_notes_nothing(
    pbx: Exchange, make: Make, delivered: Deliver
) -> None:
    settings = {"recipients": {"daily": ["ceo@example.com"]}}
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    with pytest.raises(RunSuperseded):
        await delivered(superseded=True, **settings)
    assert await state(pbx) == [("mail", "queued", 0)]


async def test_a_routed_report_is_a_message_to_whom_routes_name(
    pbx: Exchange, make: Make, delivered: Deliver
) -> None:
    await one_call(pbx)
    await make(routed=["daily"], recheck_days=0)
    await delivered(routed=["daily"])
    (message,) = delivered.messages
    assert message.to == ()
    assert await state(pbx) == [("route", "handed", 1)]


async def test_one_that_cannot_be_written_fails_and_holds_up_no_other(
    pbx: Exchange, make: Make, delivered: Deliver
) -> None:
    settings = {"recipients": {"daily": ["ceo@example.com", "cfo@example.com"]}}
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    await pbx.connection.execute(  # as a version before took it
        "UPDATE sereno_reports.delivery SET address = E'ceo\\n@example.com'"
        " WHERE address = 'ceo@example.com'"
    )
    with pytest.raises(DeliveryFailedError, match="is no address"):
        await delivered(**settings)
    assert sorted(await state(pbx)) == [("mail", "failed", 1), ("mail", "handed", 1)]


@pytest.mark.parametrize(("delivery", "left"), [("at_least_once", 0), ("at_most_once", 1)])
async def test_mails_of_the_version_before_are_handed_over(
    pbx: Exchange, make: Make, delivered: Deliver, delivery: str, left: int
) -> None:
    settings = {"recipients": {"daily": ["ceo@example.com", "cfo@example.com"]}}
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    await pbx.connection.execute(
        "UPDATE sereno_reports.delivery SET attempts = 3, state ="
        " CASE address WHEN 'ceo@example.com' THEN 'waiting' ELSE 'sending' END"
    )
    assert (await delivered(**settings, delivery=delivery))["handed"] == 2 - left
    expected = [("mail", "handed", 1), ("mail", "unknown", 3) if left else ("mail", "handed", 1)]
    assert await state(pbx) == expected


def test_what_is_too_long_for_a_message_stays_away_the_largest_first() -> None:
    small, large = ReportFile("csv", b"a"), ReportFile("xlsx", bytes(MOST_BYTES))
    parcel = DeliveredReport(
        stem="daily/../x",
        title="t" * 400,
        text="text",
        html="h" * (MOST_CHARACTERS + 1),
        attachments=(large, small),
    )
    message, lacking = written(parcel, ())
    run_context(deliver).notify(message)  # the kernel takes it
    assert [file.data for file in message.attachments] == [b"a"]
    assert message.html is None
    assert "sent without its XLSX" in lacking
    assert "sent as text" in lacking


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


async def test_two_senders_at_once_put_each_report_once(
    pbx: Exchange, make: Make, delivered: Deliver, tmp_path: Path
) -> None:
    settings = {"deliver_dir": str(tmp_path)}
    await one_call(pbx)
    await make(**settings, recheck_days=0)
    told = await asyncio.gather(*(delivered(**settings) for _ in range(3)))
    assert sorted(counts["sent"] for counts in told) == [0, 0, 1]


@pytest.mark.parametrize("stem", ["a/../../b", "..", "x\x00y", "José Ñ", "e" * 300])
def test_what_a_recipient_is_called_makes_no_path(stem: str) -> None:
    name = file_name(stem)
    assert "/" not in name
    assert "\x00" not in name
    assert not name.startswith(".")
    assert 0 < len(name.encode()) < 255
