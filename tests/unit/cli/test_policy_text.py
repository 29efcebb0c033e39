"""How what the database keeps of policies is said to people."""

from sereno.cli.policy_text import legible, legible_version


def test_durations_are_said_as_people_write_them() -> None:
    kept = {
        "start_by": "PT600S",
        "keep_for": "P30D",
        "overlap": "queue",
        "retry": {"attempts": 2, "delay": "PT0.5S"},
    }
    told = {
        "start_by": "10m",
        "keep_for": "30d",
        "overlap": "queue",
        "retry": {"attempts": 2, "delay": "500ms"},
    }
    assert legible(kept) == told
    version = {
        "trigger": "every 1d",
        "jitter": "-PT30S",
        "policies": kept,
        "params": {"start_by": "PT600S"},
    }
    assert legible_version(version) == {**version, "jitter": "±30s", "policies": told}
    assert legible_version({"jitter": "PT30S"}) == {"jitter": "30s"}


def test_what_is_no_duration_is_left_as_it_is() -> None:
    kept = {"concurrency_key": "PT600S", "timeout": None, "grace": "soon", "retry": 3}
    assert legible(kept) == kept
    assert legible_version({"jitter": None, "enabled": True}) == {"jitter": None, "enabled": True}
    assert legible_version({"jitter": "never", "policies": {}}) == {
        "jitter": "never",
        "policies": {},
    }
