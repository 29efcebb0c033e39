from collections.abc import Callable
from pathlib import Path

import pytest

from sereno import ConfigurationError
from sereno.model.errors import NotFoundError, PluginError
from sereno.plugins import Registry, collect, load_plugins
from sereno.settings import load_settings

Install = Callable[..., None]

# The plugins of this repository, which are installed beside those of a test.
OURS = 'disabled_plugins = ["cleanup", "etl_ivr", "reports"]\n'


@pytest.fixture
def registry(tmp_path: Path) -> Callable[[str], Registry]:
    def build(toml: str = "") -> Registry:
        (tmp_path / "s.toml").write_text(OURS + toml)
        settings = load_settings(file=tmp_path / "s.toml", environ={}, flags={})
        return collect(load_plugins(settings), settings)

    return build


def source(*names: str, settings: str = "None", after: str = "()", more: str = "") -> str:
    jobs = "\n".join(
        f"@job('{name}', schedule=every('6h'), after={after})\nasync def job{i}(run): ...\n"
        for i, name in enumerate(names)
    )
    listed = ", ".join(f"job{i}" for i in range(len(names)))
    return (
        f"{jobs}@hookimpl\ndef sereno_register_jobs():\n    return [{listed}]\n{more}\n"
        f"@hookimpl\ndef sereno_register_settings():\n    return {settings}\n"
    )


STRUCT = "msgspec.defstruct('S', [('size', int, 10)])\nimport msgspec"


def reasons(registry: Registry) -> dict[str, str]:
    return {r.name: r.reason for r in registry.records.values() if r.state == "failed"}


def test_jobs_schedules_and_settings_are_collected(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", source("pbx.sync", "pbx.tidy", settings=STRUCT))

    found = registry("[plugins.pbx]\nsize = 3")

    assert set(found.jobs) == {"pbx.sync", "pbx.tidy"}
    assert set(found.schedules) == {"pbx.sync", "pbx.tidy"}
    assert found.plugin_of["pbx.tidy"] == "pbx"
    assert found.given_to("pbx.sync").settings.size == 3


def test_the_hook_gets_the_plugins_settings(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install(
        "pbx",
        """
        import msgspec
        class S(msgspec.Struct):
            hours: int = 6
        @hookimpl
        def sereno_register_settings():
            return S
        @hookimpl
        def sereno_register_jobs(settings):
            async def sync(run): ...
            return [job("pbx.sync", schedule=every(f"{settings.hours}h"))(sync)]
        """,
    )

    assert registry("[plugins.pbx]\nhours = 2").schedules["pbx.sync"].schedule.trigger.text == (
        "every 2h"
    )
    assert reasons(registry("[plugins.pbx]\nhours = 0"))["pbx"].startswith(
        "job 'pbx.sync': interval 0s: it must be at least 10ms ("
    )


def test_both_plugins_that_claim_one_job_are_named(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("first", source("etl.sync"))
    install("second", source("second.own", "etl.sync"))

    found = registry("")

    assert found.plugin_of == {"etl.sync": "first"}
    assert reasons(found) == {
        "second": "plugins 'first' and 'second' both declare the job 'etl.sync'; 'first' keeps it"
    }


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    return [1]", "sereno_register_jobs returned 1; decorate it with @job(...)"),
        ("    return 5", "TypeError: 'int' object is not iterable"),
        ("    raise LookupError('x')", "LookupError: x (planted"),
        ("    yield 3\n", "sereno_register_jobs returned 3"),
        ("    raise SystemExit", "SystemExit: no message"),
        (
            "    async def f(run): ...\n    return [job('a.b')(f), job('a.b')(f)]",
            "it declares the job 'a.b' twice",
        ),
        (
            "    def f(run): ...\n    return [job('a.b', executor='thred')(f)]",
            "job 'a.b': unknown executor 'thred', did you mean 'thread'?",
        ),
        (
            (
                "    def f(run): ...\n"
                "    return [job('a.b', schedule=schedule(every('1h'), executor='async'))(f)]"
            ),
            "schedule 'a.b': executor 'async' wants an async def, f is a plain function",
        ),
        (
            (
                "    def f(run): ...\n"
                "    return [job('a.b', schedule=every('1h'), concurrency_key='{site}')(f)]"
            ),
            "schedule 'a.b': concurrency_key '{site}' names the param 'site', which the run does",
        ),
        (
            (
                "    import msgspec\n"
                "    def f(run): ...\n"
                "    P = msgspec.defstruct('P', [('day', int)])\n"
                "    return [job('a.b', params=P, schedule=every('1h'))(f)]"
            ),
            "job 'a.b': params do not fit: Object missing required field `day`",
        ),
        (
            (
                "    import msgspec\n"
                "    def f(run): ...\n"
                "    P = msgspec.defstruct('P', [('day', int)])\n"
                "    return [job('a.b', params=P, after='good.job')(f)]"
            ),
            (
                "job 'a.b': params do not fit: Object missing required field `day`; a run after"
                " good.job has no params: take them from there by"
            ),
        ),
    ],
)
def test_a_plugin_that_declares_nonsense_is_failed_and_the_rest_run(
    install: Install, registry: Callable[[str], Registry], body: str, sentence: str
) -> None:
    install("good", source("good.job"))
    install("bad", f"@hookimpl\ndef sereno_register_jobs():\n{body}")

    found = registry("")

    assert set(found.jobs) == {"good.job"}
    told = reasons(found)["bad"]
    assert told.startswith(sentence.replace(" (planted", "")), told
    assert "(planted" not in sentence or "planted_sereno_bad.py:" in told


def test_settings_that_are_no_struct_fail_the_plugin(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("bad", source("a.b", settings="dict"))

    assert "returned <class 'dict'>, no msgspec.Struct" in reasons(registry(""))["bad"]


def test_a_chain_to_an_unknown_job_fails_its_plugin_and_those_chained_after_it(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("a", source("pbx.sync"))
    install("b", source("report.day", after="'pbx.snc'"))
    install("c", source("mail", after="'report.day'"))

    found = registry("")

    assert set(found.jobs) == {"pbx.sync"}
    nobody = "which no loaded plugin declares"
    assert reasons(found) == {
        "b": f"job 'report.day' comes after 'pbx.snc', {nobody}, did you mean 'pbx.sync'?",
        "c": f"job 'mail' comes after 'report.day', {nobody}",
    }


def test_a_chain_that_leads_back_is_refused_with_its_way(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("a", source("a.x", after="'c.x'"))
    install("b", source("b.x", after="'a.x'"))
    install("c", source("c.x", after="'b.x'"))
    install("d", source("d.x", after="'d.x'"))
    install("e", source("e.x"))

    found = registry("")

    assert set(found.jobs) == {"e.x"}
    assert reasons(found) == {
        "a": "job 'a.x' comes after itself: a.x → b.x → c.x → a.x",
        "b": "job 'b.x' comes after itself: b.x → c.x → a.x → b.x",
        "c": "job 'c.x' comes after itself: c.x → a.x → b.x → c.x",
        "d": "job 'd.x' comes after itself: d.x → d.x",
    }


def test_the_configuration_changes_a_job(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", source("pbx.sync", "pbx.tidy"))

    found = registry(
        "[jobs.'pbx.sync']\nschedule = '0 8 * * *'\npriority = 5\n"
        "[jobs.'pbx.tidy']\nenabled = false"
    )

    assert found.schedules["pbx.sync"].schedule.trigger.text == "cron 0 8 * * * UTC"
    assert found.jobs["pbx.sync"].policies.priority == 5
    assert found.schedules["pbx.sync"].enabled
    assert not found.schedules["pbx.tidy"].enabled
    assert "pbx.tidy" in found.jobs


def test_the_configuration_adds_schedules(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", source("pbx.sync"))

    found = registry(
        "[schedules.night]\njob = 'pbx.sync'\ntrigger = 'every 1d'\nparams = { full = true }\n"
        "jitter = '10s'\ntimeout = '1h'"
    ).schedules["night"]

    assert (found.job, found.origin, found.enabled) == ("pbx.sync", "config", True)
    assert found.schedule.params == {"full": True}
    assert list(found.schedule.policies) == ["timeout"]


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            "[plugins.pbxx]\nsize = 1",
            "2: no plugin 'pbxx' is installed, did you mean 'pbx'?",
        ),
        ("[plugins.pbx]\nsice = 1", "3: unknown key 'sice', did you mean 'size'?"),
        ("[plugins.bare]\nx = 1", "2: plugin 'bare' takes no settings, and 'x' is set"),
        ("log.plugins.pxb = 'debug'", "2: no plugin 'pxb' is installed, did you mean 'pbx'?"),
        ("[jobs.'pbx.snc']\n", "2: no plugin declares a job 'pbx.snc', did you mean 'pbx.sync'?"),
        (
            "[jobs.'pbx.sync']\nschedule = 'evry 6h'",
            "3: job 'pbx.sync': trigger 'evry 6h': unknown kind 'evry', did you mean 'every'?",
        ),
        (
            "[jobs.'pbx.sync']\nschedule = '0 0 31 2 *'",
            "3: job 'pbx.sync': cron expression '0 0 31 2 *': it never fires",
        ),
        (
            "[schedules.x]\njob = 'pbx.snc'\ntrigger = 'every 6h'",
            "3: no plugin declares a job 'pbx.snc', did you mean 'pbx.sync'?",
        ),
        (
            "[schedules.x]\njob = 'pbx.sync'\ntrigger = 'every'",
            "4: schedule 'x': ",
        ),
        (
            "[schedules.x]\njob = 'pbx.sync'\ntrigger = 'every 6h'\nexecutor = 'gpu'",
            "4: schedule 'x': unknown executor 'gpu'; known are async, thread, process",
        ),
        (
            "[schedules.x]\njob = 'pbx.sync'\ntrigger = 'every 6h'\nseverity = 'info'",
            "4: schedule 'x': severity is of the job, over all its schedules; set it in @job",
        ),
        (
            "[schedules.x]\njob = 'pbx.sync'\ntrigger = '6h'\nconcurrency_key = '{site}'",
            "4: schedule 'x': concurrency_key '{site}' names the param 'site', which the run",
        ),
        (
            "[jobs.'pbx.sync']\nexecutor = 'gpu'",
            "2: job 'pbx.sync': unknown executor 'gpu'; known are async, thread, process",
        ),
        (
            "[schedules.'pbx.sync']\njob = 'pbx.sync'\ntrigger = 'every 6h'",
            (
                "2: a plugin declares a schedule 'pbx.sync' already; choose another name, or set "
                '`schedule` in [jobs."pbx.sync"]'
            ),
        ),
    ],
)
def test_a_fault_of_the_configuration_stops_the_start(
    install: Install,
    registry: Callable[[str], Registry],
    tmp_path: Path,
    toml: str,
    sentence: str,
) -> None:
    install("pbx", source("pbx.sync", settings=STRUCT))
    install("bare", source("bare.job"))

    with pytest.raises(ConfigurationError) as refusal:
        registry(toml)

    assert str(refusal.value).startswith(f"{tmp_path}/s.toml:{sentence}")


LEFT = """
[plugins.keeper]
size = 1
[log.plugins]
keeper = "debug"
[jobs."keeper.note"]
priority = 1
[schedules.night]
job = "keeper.note"
trigger = "every 6h"
"""


def test_what_is_set_for_a_plugin_that_is_no_longer_installed_is_told_and_stops_nothing(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", source("pbx.sync"))
    found = registry(LEFT)
    assert set(found.jobs) == {"pbx.sync"}
    told = "\n".join(found.warnings)
    assert told.count("no plugin 'keeper' is installed: what is set for it is orphaned") == 2
    assert told.count("no plugin declares a job 'keeper.note'; `sereno jobs` lists them") == 2
    assert len(found.warnings) == 4


def test_strict_settings_take_what_is_set_for_an_uninstalled_plugin_as_a_fault(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", source("pbx.sync", settings=STRUCT))
    with pytest.raises(ConfigurationError) as refusal:
        registry(f"strict = true\n{LEFT}")
    assert "no plugin 'keeper' is installed; `sereno plugins` lists them" in str(refusal.value)
    of_jobs = LEFT.replace("plugins.keeper", "plugins.pbx").replace("keeper =", "pbx =")
    with pytest.raises(ConfigurationError, match=r"no plugin declares a job 'keeper\.note'"):
        registry(f"strict = true\n{of_jobs}")


@pytest.mark.parametrize("job", ["pbx.zzzzzzzz", "nosuch"])
def test_a_job_that_no_uninstalled_plugin_can_have_had_is_a_fault(
    install: Install, registry: Callable[[str], Registry], job: str
) -> None:
    install("pbx", source("pbx.sync"))
    with pytest.raises(ConfigurationError, match=f"no plugin declares a job '{job}'"):
        registry(f"[jobs.'{job}']\npriority = 1")


def test_a_job_of_a_plugin_that_failed_is_no_fault_of_the_configuration(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", "raise ValueError")

    found = registry("[jobs.'pbx.sync']\npriority = 1\n[plugins.pbx]\nsize = 1")

    assert len(found.warnings) == 1
    assert "no plugin declares a job 'pbx.sync'" in found.warnings[0]


def test_a_plugin_teaches_a_kind_of_trigger_to_code_and_configuration(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install(
        "zz_kind",
        """
        def noon(arguments):
            arguments.plain(at_most=0)
            return cron("0 12 * * *")
        @hookimpl
        def sereno_register_trigger_kinds():
            return {"planted_noon": noon}
        """,
    )
    install(
        "pbx",
        """
        @hookimpl
        def sereno_register_jobs():
            async def sync(run): ...
            return [job("pbx.sync", schedule=parse("planted_noon"))(sync)]
        """,
    )

    found = registry("[schedules.x]\njob = 'pbx.sync'\ntrigger = 'planted_noon'")

    texts = {s.schedule.trigger.text for s in found.schedules.values()}
    assert texts == {"cron 0 12 * * * UTC"}


def test_a_kind_of_trigger_that_is_taken_fails_its_plugin(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("bad", "@hookimpl\ndef sereno_register_trigger_kinds():\n    return {'cron': cron}")

    assert "trigger kind 'cron': another parser has that name" in reasons(registry(""))["bad"]


def test_strict_settings_refuse_to_start_without_a_plugin(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", "raise ValueError('x')")

    with pytest.raises(PluginError, match=r"^plugin 'pbx': ValueError: x"):
        registry("strict = true")


def test_an_unknown_job_is_told_with_a_suggestion(
    install: Install, registry: Callable[[str], Registry]
) -> None:
    install("pbx", source("pbx.sync"))
    found = registry("")

    assert found.job("pbx.sync").name == "pbx.sync"
    with pytest.raises(
        NotFoundError, match=r"there is no job 'pbx\.snc', did you mean 'pbx\.sync'"
    ):
        found.job("pbx.snc")
    with pytest.raises(NotFoundError, match="there is no job 'x'; `sereno jobs` lists them"):
        found.job("x")
