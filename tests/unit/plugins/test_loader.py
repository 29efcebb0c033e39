from collections.abc import Callable
from textwrap import dedent

import pytest

from sereno.plugins import PluginRecord, Plugins, load_plugins
from sereno.settings import Settings

Install = Callable[..., None]

GOOD = """
    @hookimpl
    def sereno_register_jobs():
        return []
"""


def load(**settings: object) -> Plugins:
    return load_plugins(Settings(**settings))  # type: ignore[arg-type]


def reason(install: Install, source: str) -> str:
    """Return why a plugin of `source` is not loaded; the plugins beside it must be."""
    install("after", GOOD)
    install("before", GOOD)
    install("bad", source)
    plugins = load()
    assert {"after", "before"} <= set(plugins.loaded)
    assert plugins.records["bad"].state == "failed"
    return plugins.records["bad"].reason


def test_a_plugin_is_found_by_its_entry_point(install: Install) -> None:
    install("good", GOOD, version="2.5")

    assert load().records["good"] == PluginRecord(
        name="good",
        distribution="sereno-good",
        version="2.5",
        state="loaded",
        module="planted_sereno_good",
    )


def test_plugins_come_by_name_so_that_replicas_agree(install: Install) -> None:
    for name in ("zz", "aa", "mm"):
        install(name, GOOD)

    found = [name for name in load().records if name in {"zz", "aa", "mm"}]

    assert found == ["aa", "mm", "zz"]


def test_a_disabled_plugin_is_not_even_imported(install: Install) -> None:
    install("bad", "raise SystemExit('imported')")

    record = load(disabled_plugins=("bad",)).records["bad"]

    assert (record.state, record.reason) == ("disabled", "disabled by default")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("raise ValueError('no pbx')", "ValueError: no pbx ({}:2)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' ({}:2)"),
        ("raise SystemExit(3)", "SystemExit: 3 ({}:2)"),
        ("raise BaseException", "BaseException: no message ({}:2)"),
        ("raise GeneratorExit", "GeneratorExit: no message ({}:2)"),
        ("def (:", "SyntaxError: invalid syntax ({0}, line 2) ({0}:2)"),
        (
            "\n@job('bad.night',\n     schedule=cron('0 0 31 2 *'))\nasync def night(run): ...",
            "job 'bad.night': cron expression '0 0 31 2 *': it never fires",
        ),
        (
            "@job('bad.night', shedule=every('6h'))\nasync def night(run): ...",
            "job 'bad.night': unknown key 'shedule', did you mean 'schedule'? ({}:2)",
        ),
        ("", "it has no hook; mark its sereno_* functions with @hookimpl"),
        (
            "def sereno_register_jobs():\n    return []",
            "hook 'sereno_register_jobs' lacks the mark @hookimpl, so it would never be called",
        ),
        (
            "@hookimpl\ndef sereno_register_job():\n    return []",
            "unknown hook 'sereno_register_job', did you mean 'sereno_register_jobs'?",
        ),
        (
            "@hookimpl\ndef register_jobs():\n    return []",
            "unknown hook 'register_jobs', did you mean 'sereno_register_jobs'?",
        ),
        (
            "@hookimpl\ndef sereno_register_jobs(setings):\n    return []",
            "hook 'sereno_register_jobs' asks for 'setings'; it may take (settings)",
        ),
        (
            "@hookimpl\ndef sereno_register_settings(x):\n    return None",
            "hook 'sereno_register_settings' asks for 'x'; it takes no argument",
        ),
        (
            "@hookimpl\ndef sereno_on_run_finished(event): ...",
            "hook 'sereno_on_run_finished' is a plain function; it must be an async def",
        ),
        (
            "@hookimpl\nasync def sereno_register_jobs(): ...",
            "hook 'sereno_register_jobs' is an async def; it must be a plain function",
        ),
        (
            "@hookimpl\nasync def sereno_lifespan():\n    yield",
            "hook 'sereno_lifespan' is an async generator; decorate it with @asynccontextmanager",
        ),
        (
            "@hookimpl(wrapper=True)\ndef sereno_register_jobs():\n    return (yield)",
            "hook 'sereno_register_jobs' is a wrapper; sereno's hooks are plain functions",
        ),
    ],
)
def test_a_plugin_that_cannot_work_is_failed_and_the_rest_run(
    install: Install, source: str, sentence: str
) -> None:
    told = reason(install, source)

    directory_and_file = told.split("(")[-1].split(":")[0] if "{" in sentence else ""
    if "SyntaxError" in sentence:
        assert told.startswith("SyntaxError: invalid syntax (planted_sereno_bad.py, line 2)")
    else:
        assert told.startswith(sentence.format(directory_and_file))
        assert not directory_and_file or directory_and_file.endswith("/planted_sereno_bad.py")


def test_every_fault_of_a_plugin_is_told_at_once(install: Install) -> None:
    told = reason(
        install,
        """
        def sereno_register_jobs(): ...
        @hookimpl
        def sereno_on_run_started(event): ...
        """,
    )

    assert "lacks the mark" in told
    assert "must be an async def" in told


def test_ctrl_c_while_a_plugin_is_imported_is_no_fault_of_the_plugin(install: Install) -> None:
    install("slow", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        load()


def test_of_two_plugins_with_one_name_the_second_is_failed(install: Install) -> None:
    install("twin", GOOD, distribution="one")
    install("twin", GOOD, distribution="two")

    records = load().records

    assert records["twin"].distribution == "one"
    assert records["twin (two)"].state == "failed"
    assert records["twin (two)"].reason == "the name 'twin' is taken by planted_one"


def test_a_hook_may_bear_another_name_in_its_module(install: Install) -> None:
    install("good", "@hookimpl(specname='sereno_register_jobs')\ndef jobs():\n    return ['x']")
    plugins = load()

    assert plugins.call("good", "sereno_register_jobs") == ["x"]


def test_importing_a_package_with_the_prefix_is_no_hook(install: Install) -> None:
    install("good", dedent(GOOD) + "import json as sereno_json")

    assert load().records["good"].state == "loaded"
