"""A schedule that is due more often than its job allows is refused, whoever brings it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sereno import Client, DeclarationError, RunContext, cron, every, hookimpl, job
from sereno.client.declarations import Declarations
from sereno.model.errors import ConfigurationError
from sereno.plugins import collect, load_plugins
from sereno.settings import Settings, load_settings

from .node import Eye, plugin, running
from .test_start_by import registered

REFUSED = "10m apart, and min_interval of its job is 15m"


@job("t.report", schedule=cron("0 8 * * *"), min_interval="15m")
async def report(run: RunContext) -> None:
    """Report."""


@job("u.often", schedule=every("10m"), min_interval="15m")
async def often(run: RunContext) -> None:
    """Report too often."""


async def test_people_and_programs_cannot_add_or_change_to_one(database: str, eye: Eye) -> None:
    async with running(database, report) as node:
        await registered(eye, 1)
        client = Client(node.kernel.db, Declarations({"t.report": report}))
        with pytest.raises(DeclarationError, match=REFUSED):
            await client.add_schedule("t.report", "*/10 * * * *", label="often")
        await client.add_schedule("t.report", "*/15 * * * *", label="less")
        for name in ("t.report@less", "t.report"):
            with pytest.raises(DeclarationError, match=REFUSED):
                await client.change_schedule(name, trigger="every 10m")
        with pytest.raises(DeclarationError, match="with jitter 14m has slots"):
            await client.change_schedule("t.report@less", jitter="14m")
        for _ in range(2):  # runs that are asked for are not bound by it
            await client.enqueue("t.report")


def collected(text: str, path: Path) -> None:
    file = path / "sereno.toml"
    file.write_text(text)
    settings = load_settings(file=file, environ={}, flags={})
    collect(load_plugins(settings, extra=[("t", plugin(report))], entry_points=False), settings)


@pytest.mark.parametrize(
    "text",
    [
        "[jobs.\"t.report\"]\nschedule = 'every 10m'\n",
        "[schedules.often]\njob = 't.report'\ntrigger = 'every 10m'\n",
    ],
)
def test_settings_cannot_either_and_are_told_the_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=REFUSED) as caught:
        collected(text, tmp_path)
    assert "sereno.toml:" in str(caught.value)
    collected(text.replace("10m", "15m"), tmp_path)


def test_a_plugin_that_declares_one_fails_alone() -> None:
    @hookimpl
    def sereno_register_jobs() -> list[object]:
        return [often]

    other = SimpleNamespace(__name__="u", sereno_register_jobs=sereno_register_jobs)
    settings = Settings(database_url="postgresql://x@127.0.0.1/x")
    extra = [("t", plugin(report)), ("u", other)]
    found = collect(load_plugins(settings, extra=extra, entry_points=False), settings)
    assert found.records["t"].state == "loaded"
    assert found.records["u"].state == "failed"
    assert REFUSED in (found.records["u"].reason or "")
