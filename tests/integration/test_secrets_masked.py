"""A secret that a run was given, or found, is shown by nothing but who asks for it by name."""

import json
from typing import Any

import pytest

from .cli_scene import Scene, scene

__all__ = ["scene"]

SECRET = "hunter2hunter2"
HOLDING = {"smtp": {"db_password": SECRET, "host": "mail"}, "accessToken": [SECRET], "pin": SECRET}
SHOWN = {"smtp": {"db_password": "***", "host": "mail"}, "accessToken": ["***"], "pin": "***"}


@pytest.fixture
def run(scene: Scene) -> int:
    """Leave a run with secrets in all that it was given and found, and a schedule with one."""
    scene.job()
    schedule = scene.schedule()
    scene.sql(
        "UPDATE sereno.schedule_version SET params = %s::jsonb", json.dumps({"password": SECRET})
    )
    found = scene.run(
        state="failed", schedule_id=schedule, slot="2026-02-01T10:00:00Z", params=HOLDING,
        result=HOLDING, upstream={"etl.pull": HOLDING}, error=f"password: {SECRET}",
        requested_by=f"ana, pwd={SECRET}", unique_key=f"token={SECRET}",
        concurrency_key=f"x://a:{SECRET}@b",
    )  # fmt: skip
    scene.slot(schedule, "2026-02-01T10:00:00Z", "late", f"secret={SECRET}", found)
    return found


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_view_shows_a_secret(scene: Scene, run: int, form: list[str]) -> None:
    for command in (
        ["show", str(run)],
        ["show", "etl.sync", "--at", "2026-02-01T10:00Z"],
        ["runs"],
        ["jobs"],
        ["schedule", "list"],
    ):
        result = scene.call(*command, *form)
        assert result.exit_code == 0, result.output
        assert SECRET not in result.output, command
        assert "etl" in result.output


def test_all_that_is_no_secret_is_shown(scene: Scene, run: int) -> None:
    told = scene.json("show", str(run))

    assert (told["params"], told["result"]) == (SHOWN, SHOWN)
    assert told["upstream"] == {"etl.pull": SHOWN}


def test_who_asks_for_them_sees_them(scene: Scene, run: int) -> None:
    told = scene.json("show", str(run), "--reveal")

    assert (told["params"], told["result"]) == (HOLDING, HOLDING)
    assert told["upstream"] == {"etl.pull": HOLDING}
    assert SECRET in told["error"]
    assert SECRET in scene.call("show", str(run), "--reveal").stdout


def test_a_repetition_has_the_secrets_and_does_not_show_them(scene: Scene, run: int) -> None:
    result = scene.call("retry", str(run), "--json")

    again = json.loads(result.stdout)["run"]
    assert SECRET not in result.output
    ((params,),) = scene.sql("SELECT params FROM sereno.run WHERE id = %s", again)
    assert params == HOLDING


@pytest.mark.parametrize("reveal", [False, True])
def test_who_waits_sees_a_secret_only_when_asked_for(scene: Scene, reveal: bool) -> None:
    def end(there: Scene, found: int) -> None:
        there.finish(found, result=HOLDING)

    with scene.leading():
        scene.job()
        for form in ([], ["--json"]):
            with scene.when_queued(end):
                call: list[Any] = ["trigger", "etl.sync", "--wait", *["--reveal"][: int(reveal)]]
                result = scene.call(*call, *form)
            assert (SECRET in result.output) == reveal
