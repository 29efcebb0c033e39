"""The trail: who changed what and why, as ``sereno audit`` lists it."""

import pytest

from .cli_scene import Scene, scene

__all__ = ["scene"]


def changed(scene: Scene, days: float, by: str, subject: str, action: str, after: str) -> None:
    scene.sql(
        "INSERT INTO sereno.change (at, by, subject, action, reason, after) VALUES"
        " (now() - make_interval(secs => %s), %s, %s, %s, %s, %s::jsonb)",
        days * 86_400, by, subject, action, f"why of {subject}", after,
    )  # fmt: skip


@pytest.fixture
def trail(scene: Scene) -> Scene:
    """Four changes, the oldest first."""
    scene.job()
    changed(scene, 400, "the code", "etl.sync", "declare", "null")
    changed(scene, 40, "ann@blue", "etl.sync@night", "create", '{"params": {"password": "x1word"}}')
    changed(scene, 2, "bob@blue", "etl.new", "pause", '{"state": "paused"}')
    changed(scene, 1, "ann@green", "etl.sync", "resume", '{"state": "active"}')
    return scene


def test_audit_lists_the_newest_first_with_the_reason(trail: Scene) -> None:
    lines = trail.call("audit").stdout.splitlines()
    assert lines[0].split() == ["AT", "BY", "ACTION", "SUBJECT", "REASON", "BECAME"]
    assert [line.split("  ")[1].strip() for line in lines[1:]] == [
        *("ann@green", "bob@blue", "ann@blue", "the code"),
    ]
    assert lines[1].split("etl.sync")[-1].split() == ['{"state":"active"}']


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--by", "ann"], ["resume", "create"]),
        (["--by", "ann@blue"], ["create"]),
        (["--subject", "etl.sync"], ["resume", "create", "declare"]),
        (["--subject", "etl.sync@night"], ["create"]),
        (["--since", "30d"], ["resume", "pause"]),
        (["--since", "999999d", "--limit", "1"], ["resume"]),
        (["--subject", "etl.new", "--by", "ann"], []),
    ],
)
def test_audit_is_filtered(trail: Scene, filters: list[str], found: list[str]) -> None:
    assert [change["action"] for change in trail.json("audit", *filters)] == found


def test_a_filter_that_finds_nothing_says_so(trail: Scene) -> None:
    result = trail.call("audit", "--subject", "etl.new", "--by", "eve")
    assert (result.exit_code, result.stderr) == (0, "no change of 'etl.new' by 'eve' is kept\n")
    unknown = trail.call("audit", "--subject", "etl.sinc")
    assert unknown.exit_code == 2
    assert "there is no job or schedule 'etl.sinc', did you mean 'etl.sync'?" in unknown.stderr


def test_audit_masks_secrets_and_shows_what_was_said_as_text(trail: Scene) -> None:
    changed(trail, 0, "eve\x1b[2J@x", "etl.new", "pause", '"\\u202e"')
    assert "x1word" not in trail.call("audit").output
    assert trail.json("audit", "--by", "ann@blue")[0]["after"] == {"params": {"password": "***"}}
    shown = trail.call("audit", "--limit", "1").output
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_the_odd_things_that_a_row_may_hold_are_shown(trail: Scene) -> None:
    trail.sql("UPDATE sereno.change SET at = 'infinity', after = '[1, {}]' WHERE action = 'pause'")
    trail.sql("UPDATE sereno.change SET at = '-infinity', before = 'null' WHERE action = 'create'")
    deep = "[" * 2_000 + "]" * 2_000
    trail.sql("UPDATE sereno.change SET after = %s::text::jsonb WHERE action = 'declare'", deep)
    assert trail.call("audit").exit_code == 0
    assert len(trail.json("audit")) == 4
