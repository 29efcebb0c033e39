"""Jobs without a package: modules that the settings name, each apart from the others."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from sereno.plugins import Plugins, Registry, collect, load_plugins
from sereno.settings import Settings, load_settings

Write = Callable[[str, str], None]

GOOD = """
    from sereno import job, every

    @job("my.tick", schedule=every("1h"))
    async def tick(run): ...
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write modules into the directory in which sereno is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    before = set(sys.modules)

    def put(name: str, source: str) -> None:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
        # A directory that was read within the same tick of the clock looks as it did.
        importlib.invalidate_caches()

    yield put  # type: ignore[misc]
    for name in set(sys.modules) - before:
        if name.startswith("mine"):
            del sys.modules[name]


def load(*modules: str) -> Plugins:
    return load_plugins(Settings(modules=modules), entry_points=False)


def declared(*modules: str) -> Registry:
    chosen = Settings(modules=modules)
    return collect(load_plugins(chosen, entry_points=False), chosen)


def reason(*modules: str) -> str:
    (record,) = [r for r in load(*modules).records.values() if r.state == "failed"]
    return record.reason


def test_a_module_s_jobs_are_a_plugin_s(write: Write) -> None:
    write("mine1.jobs", GOOD)
    found = declared("mine1.jobs")
    assert list(found.jobs) == ["my.tick"]
    assert found.plugin_of["my.tick"] == "mine1_jobs"
    assert found.records["mine1_jobs"].module == "mine1.jobs"


def test_jobs_of_modules_below_are_its_own_and_those_from_elsewhere_are_not(write: Write) -> None:
    write("mine2.mail", GOOD)
    write("other_mine2", GOOD.replace("my.tick", "my.other"))
    source = """
        from mine2.mail import tick, tick as again
        from other_mine2 import tick as foreign
    """
    write("mine2.__init__", source)
    assert list(declared("mine2").jobs) == ["my.tick"]


def test_a_module_with_hooks_is_as_any_plugin(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(
        "mine3",
        """
        import msgspec
        from sereno import hookimpl, job

        class Mine(msgspec.Struct):
            site: str = "rome"

        @hookimpl
        def sereno_register_settings():
            return Mine

        @job("my.tick")
        async def tick(run): ...
        """,
    )
    (tmp_path / "sereno.toml").write_text('modules = ["mine3"]\n[plugins.mine3]\nsite = "oslo"\n')
    chosen = load_settings(file=tmp_path / "sereno.toml", environ={}, flags={})
    found = collect(load_plugins(chosen, entry_points=False), chosen)
    assert found.given_to("my.tick").settings.site == "oslo"


def test_a_module_that_fails_fails_alone_and_by_its_line(write: Write) -> None:
    write("mine4", GOOD)
    write("mine5", "\nraise SystemExit(3)\n")
    plugins = load("mine5", "mine4")
    assert plugins.loaded == ["mine4"]
    assert plugins.records["mine5"].reason.startswith("SystemExit: 3 (")
    assert plugins.records["mine5"].reason.endswith("mine5.py:2)")


def test_a_module_that_is_not_there_says_where_it_is_looked_for(write: Write) -> None:
    assert reason("mine6.jobs") == (
        "default: modules names 'mine6.jobs', and Python finds no 'mine6'; start sereno in the "
        "directory that holds it, name that in PYTHONPATH, or install it"
    )
    write("mine6.__init__", "")
    assert "Python finds no 'mine6.jobs'" in reason("mine6.jobs")
    write("mine6.broken", "import nowhere_at_all")
    assert reason("mine6.broken").startswith(
        "ModuleNotFoundError: No module named 'nowhere_at_all'"
    )


@pytest.mark.parametrize("name", ["", ".", "my project", "mine.", ".jobs", "mine/jobs.py", "1a"])
def test_what_is_no_module_s_name_is_said(name: str) -> None:
    assert "which is no module's name; write it as Python imports it" in reason(name)


def test_a_module_without_jobs_says_so(write: Write) -> None:
    write("mine7", "x = 1\n")
    assert reason("mine7").endswith(
        "which declares no job; put @job(...) on a function at its top level"
    )


def test_a_module_that_is_named_twice_is_loaded_once(write: Write) -> None:
    write("mine8", GOOD)
    plugins = load("mine8", "mine8")
    assert plugins.loaded == ["mine8"]
    assert "the name 'mine8' is taken by mine8" in reason("mine8", "mine8")


def test_sereno_finds_a_module_in_the_directory_where_it_is_started(
    write: Write, tmp_path: Path
) -> None:
    write("mine9.jobs", GOOD)
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("SERENO_", "PYTHONPATH"))}
    done = subprocess.run(
        [Path(sys.executable).with_name("sereno"), "check"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**environ, "SERENO_MODULES": "mine9.jobs", "SERENO_DATABASE_URL": "postgresql://127.0.0.1:1/x"},
    )  # fmt: skip
    assert "my.tick" in done.stdout, done.stderr
