"""The last release works on the newest schema, beside the newest code, and takes over from it."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sereno import __version__
from sereno.store.migrator import migrate

from ..faults.asking import do, enqueue, state, value
from ..faults.process import KEPT, Process, process
from ..faults.test_version_before import FIRED, LOST, PLUGIN, TOGETHER, account, goes_on, leading
from ..planting import plant
from ..servers.waiting import wait_until
from .release import released

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


class Stage:
    """A database, the last release and the newest code, and a plugin with jobs for both."""

    def __init__(self, dsn: str, place: Path, release: list[Path]) -> None:
        self.dsn, self._place = dsn, place
        site = place / "site"
        site.mkdir()
        plant(site, PLUGIN, "mixed")
        self._old = os.pathsep.join(map(str, [site, *release]))
        self._new = str(site)

    @contextmanager
    def old(self, command: str = "run", **environment: str) -> Iterator[Process]:
        """Start the last release, by the interpreter that knows no newer one."""
        base = str(getattr(sys, "_base_executable", sys.executable))
        with self._started(base, self._old, command, **environment) as found:
            yield found

    @contextmanager
    def new(self, command: str = "run", **environment: str) -> Iterator[Process]:
        """Start the newest code, with the console and no other plugin of this repository."""
        more = {"SERENO_DISABLED_PLUGINS": "cleanup,etl_ivr,notify,reports,sun", **environment}
        with self._started(sys.executable, self._new, command, **more) as found:
            yield found

    @contextmanager
    def _started(
        self, python: str, path: str, command: str, **environment: str
    ) -> Iterator[Process]:
        given: dict[str, Any] = {
            "SERENO_APPS__ENABLED": "false",
            "SERENO_APPS__PORT": "0",
            **KEPT,
            "PYTHONPATH": path,
            **environment,
        }
        with process(
            self.dsn, self._place, "", site=self._place, command=command, python=python, **given
        ) as found:
            yield found


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return released(tmp_path_factory.mktemp("release"))


@pytest.fixture
def stage(empty_database: str, tmp_path: Path, release: list[Path]) -> Stage:
    return Stage(empty_database, tmp_path, release)


def test_it_goes_on_beside_the_newest_code_and_fails_over_both_ways(stage: Stage) -> None:
    dsn = stage.dsn
    with ExitStack() as stack:
        old, other = (stack.enter_context(stage.old()) for _ in range(2))
        wait_until(lambda: leading(old, other), "one to lead")
        leader, standby = (old, other) if leading(old) else (other, old)
        standby.said("ready")
        goes_on(dsn)
        new = stack.enter_context(stage.new())
        new.said("ready")
        goes_on(dsn)
        versions = "SELECT string_agg(DISTINCT version, ' ' ORDER BY version) FROM sereno.node"
        assert value(dsn, versions).split()[-1] == __version__
        assert not leader.lines("no longer leading")  # a newer one that comes takes nobody's lead
        standby.signal(signal.SIGSTOP)
        leader.signal(signal.SIGKILL)
        new.said("leading")
        goes_on(dsn)
        standby.signal(signal.SIGCONT)
        under_way = enqueue(dsn, "faults.long", '{"seconds": 3}')
        wait_until(lambda: state(dsn, under_way) == "running", "a run of the newest")
        new.signal(signal.SIGKILL)
        standby.said("leading")
        goes_on(dsn)
        wait_until(lambda: state(dsn, under_way) == "succeeded", "what the newest had begun")
        again = stack.enter_context(stage.new())
        again.said("ready")
        standby.signal(signal.SIGTERM)
        assert standby.end() == 0
        again.said("leading")
        goes_on(dsn)
    assert value(dsn, LOST) == 0
    assert value(dsn, TOGETHER) == 0
    assert asyncio.run(account(dsn)) == []


def test_a_whole_fleet_comes_back_on_the_newest_schema(stage: Stage) -> None:
    """Undo the deploy: nobody of the newest is there, and the schema is."""
    asyncio.run(migrate(stage.dsn))
    with stage.old() as first, stage.old() as second:
        wait_until(lambda: leading(first, second), "one to lead")
        before = value(stage.dsn, FIRED)
        goes_on(stage.dsn)
        assert value(stage.dsn, FIRED) > before
        do(stage.dsn, "SELECT sereno.enqueue('faults.first', '{\"number\": -1}')")
    assert asyncio.run(account(stage.dsn)) == []


def shown(pages: Process) -> None:
    """See that a console shows the jobs, whoever runs them."""
    base = pages.said("apps are served", 1, 60)["at"]
    for path in ("console/", "console/jobs", "console/runs", "console/cluster"):
        found = httpx.get(f"{base}{path}", timeout=30, follow_redirects=True)
        assert found.status_code == 200, (path, found.text[:500])
        assert "faults." in found.text or path == "console/cluster"
    api = httpx.get(f"{base}api/v1/jobs", timeout=30)
    assert api.status_code in (200, 401), api.text[:500]


def test_the_newest_console_shows_what_a_replica_of_the_release_does(stage: Stage) -> None:
    with stage.new("migrate") as migrated:
        assert migrated.end() == 0
    with stage.old() as old:
        old.said("leading")
        goes_on(stage.dsn)
        with stage.new("apps", SERENO_APPS__ENABLED="true") as pages:
            shown(pages)


def test_the_release_s_console_if_it_had_one_shows_the_newest_schema(
    stage: Stage, release: list[Path]
) -> None:
    has_one = any((place / "sereno_console").exists() for place in release)
    with stage.new() as new:
        new.said("leading")
        goes_on(stage.dsn)
        with stage.old("apps" if has_one else "run", SERENO_APPS__ENABLED="true") as other:
            if has_one:
                shown(other)
            else:
                other.said("ready")  # and serves no app, and goes on as it did
