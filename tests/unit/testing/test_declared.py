from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sereno import ConfigurationError, every, hookimpl, job
from sereno.model.errors import PluginError
from sereno.testing import declared, declared_jobs


class Hours(msgspec.Struct):
    hours: int = 6


@hookimpl
def register_settings() -> type[msgspec.Struct]:
    return Hours


@hookimpl
def register_jobs(settings: Hours) -> Any:
    async def sync(run: Any) -> None: ...

    return [job("etl.sync", schedule=every(f"{settings.hours}h"))(sync)]


PLUGIN = SimpleNamespace(
    sereno_register_settings=register_settings, sereno_register_jobs=register_jobs
)


@pytest.mark.parametrize("settings", [{"hours": 2}, Hours(hours=2)])
def test_a_plugin_declares_its_jobs_under_given_settings(settings: Any) -> None:
    trigger = declared_jobs(PLUGIN, settings)["etl.sync"].schedules[0].trigger

    assert trigger == every("2h")
    assert declared(PLUGIN).settings["plugin"] == Hours(hours=6)


def test_what_the_kernel_would_refuse_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown key 'hour', did you mean 'hours'"):
        declared(PLUGIN, {"hour": 2})
    with pytest.raises(PluginError, match="it must be at least 10ms"):
        declared(PLUGIN, {"hours": 0})
    with pytest.raises(PluginError, match="it has no hook"):
        declared(SimpleNamespace())
