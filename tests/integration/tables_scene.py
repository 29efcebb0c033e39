"""A plugin of a test with tables of its own: a package of files, written where Python finds it."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sereno import Migrations, hookimpl, job
from sereno.store.migration import read_migrations
from sereno.store.migration_series import PluginSeries

Planted = Callable[..., "TablesPlugin"]


class TablesPlugin:
    """Registers the schema `schema`, and one job `<schema>.work` that counts rows of its table."""

    def __init__(self, package: str, schema: str) -> None:
        self.package = package
        self.schema = schema

    @hookimpl
    def sereno_register_migrations(self, settings: Any) -> Migrations:
        return Migrations(schema=self.schema, package=self.package)

    @hookimpl
    def sereno_register_jobs(self) -> list[Any]:
        @job(f"{self.schema}.work")
        async def work(run: Any) -> None: ...

        return [work]

    def series(self, plugin: str) -> PluginSeries:
        """Return what the kernel makes of it under the name `plugin`."""
        files = read_migrations(self.package, "migrations")
        return PluginSeries(migrations=files, schema=self.schema, plugin=plugin)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planted]:
    """Give what makes a plugin of a schema and files, by their names."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def plant(schema: str, **files: str) -> TablesPlugin:
        package = f"planted_{uuid4().hex}"
        folder = tmp_path / package / "migrations"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        for name, text in files.items():
            (folder / f"{name.removeprefix('m')}.sql").write_text(text)
        made.append(package)
        importlib.invalidate_caches()
        return TablesPlugin(package, schema)

    yield plant
    for package in made:
        sys.modules.pop(package, None)
