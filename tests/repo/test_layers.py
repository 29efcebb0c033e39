import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "sereno": "kernel/sereno",
    "sereno_etl_ivr": "plugins/etl_ivr/sereno_etl_ivr",
    "sereno_cleanup": "plugins/cleanup/sereno_cleanup",
    "sereno_reports": "plugins/reports/sereno_reports",
    "sereno_sun": "plugins/sun/sereno_sun",
    "sereno_notify": "plugins/notify/sereno_notify",
    "sereno_console": "plugins/console/sereno_console",
    "sereno_django": "plugins/django/sereno_django",
    "sereno_dask": "plugins/dask/sereno_dask",
}

# contract -> (module, its source); each must be told as a violation of its contract.
PLANTED = {
    "Kernel layers, as docs/architecture.md lists them": [
        ("sereno.model.planted_up", "import sereno.store"),
        ("sereno.triggers.planted_hidden", "def dodge():\n    import sereno.settings"),
        ("sereno.settings.planted_typing", "if TYPE_CHECKING:\n    import sereno.plugins"),
        ("sereno.utils", ""),
    ],
    "The kernel imports no plugin": [("sereno.engine.planted_plugin", "import sereno_cleanup")],
    "A plugin sees only sereno and sereno.testing": [
        ("sereno_cleanup.planted_inside", "import sereno.engine")
    ],
    "Plugins do not know each other": [("sereno_reports.planted_sibling", "import sereno_cleanup")],
    "CLI and HTTP ask the client": [("sereno.cli.planted_store", "import sereno.store.views")],
    "No cycles between siblings": [
        ("sereno_cleanup.planted_one", "import sereno_cleanup.planted_two"),
        ("sereno_cleanup.planted_two", "import sereno_cleanup.planted_one"),
    ],
    "Only the store knows asyncpg": [("sereno.engine.planted_asyncpg", "import asyncpg")],
    "Only the plugin layer knows pluggy": [("sereno.engine.planted_pluggy", "import pluggy")],
    "Only the triggers know croniter": [("sereno.plugins.planted_croniter", "import croniter")],
    "Only the tracing knows opentelemetry": [
        ("sereno.engine.planted_opentelemetry", "import opentelemetry")
    ],
    "Only the observing knows prometheus_client": [
        ("sereno.engine.planted_prometheus", "import prometheus_client")
    ],
    "Only etl_ivr knows aiomysql": [("sereno_reports.planted_aiomysql", "import aiomysql")],
    "Only the console knows starlette": [("sereno_sun.planted_starlette", "import starlette")],
    "Only sereno-django knows Django": [("sereno_reports.planted_django", "import django")],
    "Rooms of the console": [("sereno_console.security.planted_up", "import sereno_console.api")],
}  # fmt: skip

pytestmark = pytest.mark.xdist_group("layers")  # they share a process's answer


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what lint-imports says of a copy of the tree with every violation in it."""
    copy = tmp_path_factory.mktemp("tree")
    for package, place in PACKAGES.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / place, copy / package, ignore=ignored)
    for violations in PLANTED.values():
        for module, source in violations:
            (copy / f"{module.replace('.', '/')}.py").write_text(source)
    shutil.copy(ROOT / "pyproject.toml", copy)
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_every_contract_is_tried() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert [c["name"] for c in settings["tool"]["importlinter"]["contracts"]] == list(PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_violation_of_each_contract_is_found(contract: str, verdict: str) -> None:
    assert f"{contract} BROKEN" in verdict
    told = verdict.split(f"{contract}\n{'-' * len(contract)}\n")[1]
    for module, _ in PLANTED[contract]:
        assert module.rpartition(".")[2] in told


# What is loaded at its first use is invisible to import-linter: the same layers hold for it.
LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][
    0
]["layers"]


def loaded_by_name() -> Iterator[tuple[Path, str, object]]:
    """Yield file, function and module of each call that loads a module by a name of its own."""
    for place in PACKAGES.values():
        for file in sorted((ROOT / place).rglob("*.py")):
            text = file.read_text()
            if "lazy" not in text and "import_module" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and node.args:
                    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    if called in {"lazy", "import_module"}:
                        yield file, called, getattr(node.args[0], "value", None)


def test_a_module_of_a_fixed_name_is_loaded_lazily_by_one_function() -> None:
    found = [f.name for f, by, name in loaded_by_name() if by != "lazy" and isinstance(name, str)]

    assert found == []


def test_what_is_loaded_lazily_lies_in_no_higher_layer() -> None:
    found = 0
    for file, _, name in loaded_by_name():
        root, *inside = str(name).split(".")
        own = file.relative_to(ROOT).parts
        if root == "sereno" and own[2] != "__main__.py":  # which stands above all of them
            found += 1
            assert LAYERS.index(inside[0]) >= LAYERS.index(own[2]), (file, name)
        elif root.startswith("sereno_"):
            found += 1
            assert root == own[2], (file, name)
    assert found > 5
