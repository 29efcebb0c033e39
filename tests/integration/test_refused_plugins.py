"""What the database did not take of a plugin is known to whoever asks about plugins."""

import msgspec
import pytest

from sereno.app.declarations import DeclaredSchedules, declared_jobs
from sereno.plugins import collect, load_plugins
from sereno.settings import Settings
from sereno.store.catalogue import mark_of
from sereno.store.refusals import Refusal, written

from .cli_scene import Etl, Scene

WHY = "it cannot be registered: no letter"


@pytest.fixture
def scene(database: str) -> Scene:
    found = Scene(database)
    found.sql("INSERT INTO sereno.catalogue (fingerprint, term) VALUES ('', 1)")
    return found


def refuse(scene: Scene, **marks: str | None) -> None:
    """Let a leader have been refused these plugins, whose declarations had these fingerprints."""
    kept = written({plugin: Refusal("no letter", mark) for plugin, mark in marks.items()})
    scene.sql("UPDATE sereno.catalogue SET refused = %s::jsonb", msgspec.json.encode(kept).decode())


def mark() -> str:
    """Return the fingerprint of what the plugin `etl` declares here."""
    plugins = load_plugins(Settings(), extra=[("etl", Etl)], entry_points=False)
    registry = collect(plugins, Settings())
    found = mark_of("etl", declared_jobs(registry), DeclaredSchedules(registry))
    assert found is not None
    return found


def test_plugins_and_check_name_what_the_database_did_not_take(scene: Scene) -> None:
    refuse(scene, etl=mark())
    (listed,) = scene.json("plugins")
    assert (listed["state"], listed["reason"]) == ("failed", WHY)
    checked = scene.call("check")
    assert checked.exit_code == 1
    assert f"plugin 'etl' cannot be loaded: {WHY}" in checked.stderr


def test_what_was_refused_of_another_version_says_nothing_of_this_one(scene: Scene) -> None:
    refuse(scene, etl="of another", gone=None)
    (listed,) = scene.json("plugins")
    assert (listed["state"], listed["reason"]) == ("loaded", "")
    assert scene.call("check").exit_code == 0


@pytest.mark.parametrize("odd", ['"text"', "[]", '{"etl": 1}', "null"])
def test_whatever_the_column_holds_both_go_on(scene: Scene, odd: str) -> None:
    if odd != "null":
        scene.sql("UPDATE sereno.catalogue SET refused = %s::jsonb", odd)
    assert scene.call("plugins").exit_code == 0
    assert scene.call("check").exit_code == 0
    assert scene.call("cluster").exit_code == 0


def test_both_go_on_without_a_database() -> None:
    away = Scene("postgresql://sereno@127.0.0.1:1/none")
    assert away.call("plugins").exit_code == 0
    assert away.call("check").exit_code == 0
