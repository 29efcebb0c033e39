"""What no reader could hold is refused by the command line and by the page, with a sentence."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sereno import job

from .cli_scene import Scene, scene
from .http_scene import served

__all__ = ["scene"]

DEEP = '{"a": ' + "[" * 100 + "]" * 100 + "}"
DEEPER = '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}"
LAST = "9999-12-31T23:59:59.999999Z"


@pytest.fixture
def put_clock() -> Iterator[Callable[[str], None]]:
    """Give what puts this machine's clock into a zone, until the test is over."""
    with pytest.MonkeyPatch.context() as patch:

        def put(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()

        yield put
    time.tzset()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
@pytest.mark.parametrize(
    "command",
    [
        ("pause", "etl.sync", "--until", LAST),
        ("pause", "etl.sync", "--until", "0001-01-01T00:00:00Z"),
        ("trigger", "etl.sync", "--at", LAST),
        ("schedule", "add", "etl.sync", "every 1h", "--label", "x", "--end", LAST),
        ("show", "etl.sync", "--at", LAST),
    ],
    ids=lambda command: command[0] + command[-1][:4],
)
def test_an_instant_that_not_every_zone_can_show_is_refused(
    scene: Scene, put_clock: Callable[[str], None], command: tuple[str, ...], zone: str
) -> None:
    put_clock(zone)
    scene.job()
    scene.schedule()
    result = scene.call(*command)
    assert (result.exit_code, "it must lie in the years 1 to 9999" in result.output) == (2, True)
    assert scene.call("jobs").exit_code == 0


@pytest.mark.parametrize(
    ("zone", "until"),
    [("UTC", "infinity"), ("Asia/Tokyo", LAST), ("America/Los_Angeles", "0001-01-01T00:00:00Z")],
)
def test_a_pause_until_such_an_instant_that_is_in_a_row_is_shown(
    scene: Scene, put_clock: Callable[[str], None], zone: str, until: str
) -> None:
    put_clock(zone)
    scene.job()
    scene.schedule(state="paused")
    scene.sql("UPDATE sereno.schedule SET paused_until = %s", until)
    for command in (["jobs"], ["schedule", "list"]):
        assert scene.call(*command).exit_code == 0
        assert scene.json(*command)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (DEEP, "params are more than 100 levels deep"),
        (DEEPER, "it must be a JSON object"),
        ('{"a": 1' + "0" * 400 + "}", "params hold a number beyond 1.8e308"),
        ('{"a": "\\u0000"}', "params hold U+0000"),
        ('{"a": "\\ud800"}', "it must be a JSON object"),
    ],
    ids=range(5),
)
def test_params_that_no_reader_could_hold_are_refused(
    scene: Scene, params: str, sentence: str
) -> None:
    scene.job("etl.new")
    result = scene.call("trigger", "etl.new", "--params", params)
    assert (result.exit_code, sentence in result.stderr) == (2, True), result.stderr
    assert scene.sql("SELECT count(*) FROM sereno.run") == [(0,)]


async def test_the_page_refuses_them_as_well(database: str) -> None:
    @job("etl.any")
    async def anything(run: Any) -> None: ...

    token = "t" * 20
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with served(database, jobs=(anything,), token=token) as (client, db):
        async with db.connection() as connection:
            await connection.execute(
                "INSERT INTO sereno.job (name, plugin, policies) VALUES ('etl.any', 't', '{}')"
            )
        for body, sentence in (
            (f'{{"params": {DEEP}}}', "params are more than 100 levels deep"),
            (f'{{"params": {DEEPER}}}', "the body is no JSON object"),
            (json.dumps({"run_at": LAST}), "run_at is 9999-12-31"),
            ('{"params": {"a": 1' + "0" * 400 + "}}", "params hold a number beyond 1.8e308"),
            (json.dumps({"delay": "99999999d"}), "ends after the year 9999"),
        ):
            answer = await client.post("/jobs/etl.any/runs", content=body, headers=headers)
            assert (answer.status_code, sentence in answer.text) in ((422, True), (400, True))
        taken = await client.post("/jobs/etl.any/runs", content="{}", headers=headers)
        assert taken.status_code == 202
