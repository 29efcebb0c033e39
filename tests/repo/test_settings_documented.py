import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sereno import parse
from sereno.model.policies import POLICY_NAMES, Policies
from sereno.settings import JobSettings, ScheduleSettings, Settings, load_settings, plugin_settings
from sereno.settings.place import Key, dotted
from sereno.settings.values import leaves
from sereno_notify.settings import NotifyRoute
from sereno_notify.settings import Settings as Notify

EXAMPLE = Path(__file__).parents[2] / "conf/sereno.toml"
# Keys without a default, or whose default depends on the machine: the file shows an example.
EXAMPLES = {
    ("leader_database_url",),
    ("node_name",),
    ("host_id",),
    ("data_dir",),
    ("log", "plugins"),
    ("http", "token"),
    ("apps", "tls_certificate"),
    ("apps", "tls_key"),
    ("tracing", "endpoint"),
    ("calendars",),
    ("blackouts",),
}


@pytest.fixture(scope="module")
def uncommented(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings as they are with every line of the example in force."""
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    file = tmp_path_factory.mktemp("conf") / "sereno.toml"
    file.write_text(text)
    return load_settings(file=file, environ={"HOME": "/home/ana"}, flags={})


def test_the_file_as_it_is_changes_nothing() -> None:
    without = load_settings(file=None, environ={"SERENO_CONFIG": "/dev/null"}, flags={})

    assert repr(load_settings(file=EXAMPLE, environ={}, flags={})) == repr(without)


@pytest.mark.parametrize("key", leaves(), ids=dotted)
def test_every_setting_is_in_the_file_with_its_default(key: Key, uncommented: Settings) -> None:
    assert key in uncommented.origin.places
    if key not in EXAMPLES and key[0] not in {"plugins", "jobs", "schedules"}:
        assert value(uncommented, key) == value(Settings(), key)


def value(settings: Any, key: Key) -> Any:
    for part in key:
        settings = getattr(settings, str(part))
    return settings


def test_every_policy_and_every_key_of_a_job_is_in_the_file(uncommented: Settings) -> None:
    told = {str(key[2]) for key in uncommented.origin.places if key[0] == "jobs" and len(key) == 3}
    known = set(POLICY_NAMES) | set(JobSettings.__struct_fields__)

    assert told == known - {"policies"}


def test_every_key_of_a_schedule_is_in_the_file(uncommented: Settings) -> None:
    (found,) = uncommented.schedules.values()
    required = {f.name for f in msgspec.structs.fields(ScheduleSettings) if f.required}
    given = {str(k[2]) for k in uncommented.origin.places if k[0] == "schedules" and len(k) == 3}

    assert required <= given
    assert given == set(ScheduleSettings.__struct_fields__) - {"policies"}
    assert parse(found.trigger).text == found.trigger


def test_every_key_of_notify_and_of_a_route_is_in_the_file(uncommented: Settings) -> None:
    key = ("plugins", "notify")
    given = {str(k[2]) for k in uncommented.origin.places if k[:2] == key and len(k) == 3}
    of_route = {
        str(k[4]) for k in uncommented.origin.places if k[:3] == (*key, "routes") and len(k) == 5
    }

    assert given == set(Notify.__struct_fields__) - {"emails", "pings"}
    assert of_route == set(NotifyRoute.__struct_fields__)
    found = plugin_settings(uncommented, "notify", Notify)
    for name in ("repeat_every", "keep", "retry", "delivery"):
        assert getattr(found, name) == getattr(Notify(), name)


def test_the_policies_in_the_file_are_of_their_types(uncommented: Settings) -> None:
    (job,) = uncommented.jobs.values()

    chosen = {name: value for name, value in job.policies.items() if name != "concurrency"}
    assert Policies().changed(chosen).retry.attempts == 3
    both = {name: value for name, value in job.policies.items() if "concurrency_" not in name}
    assert Policies().changed(both).concurrency_limit == 3
    assert parse(job.schedule or "")
