from datetime import timedelta
from pathlib import Path

import pytest

from sereno import ConfigurationError
from sereno.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(toml: str = "", **environ: str) -> Settings:
    file = Path("sereno.toml")
    file.write_text(toml, encoding="utf-8")
    return load_settings(file=None, environ=environ, flags={})


def refusal(toml: str = "", **environ: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(toml, **environ)
    return str(refused.value)


def test_defaults_hold_where_nothing_is_set() -> None:
    settings = load_settings(file=None, environ={}, flags={})

    assert settings.database_url == "embedded"
    assert settings.http.port == 8765
    assert settings.lease == timedelta(seconds=5)
    assert settings.place("lease") == "default"


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    Path("sereno.toml").write_text("threads = 1\nmax_running = 1\n[http]\nport = 1\nhost = 'a'\n")

    settings = load_settings(
        file=None,
        environ={"SERENO_MAX_RUNNING": "2", "SERENO_HTTP__PORT": "2"},
        flags={"http.port": 3, "lease": None},
    )

    assert (settings.threads, settings.max_running, settings.http.port) == (1, 2, 3)
    assert settings.http.host == "a"
    assert settings.place("threads") == "sereno.toml:1"
    assert settings.place("max_running") == "SERENO_MAX_RUNNING"
    assert settings.place("http", "port") == "--http-port"


def test_everything_wins_over_the_settings_of_the_demonstration() -> None:
    demo = {"plugins": {"etl": {"batch": 1, "every": "1s"}}}

    settings = load_settings(
        file=None, environ={"SERENO_PLUGINS__ETL__BATCH": "2"}, flags={}, defaults=demo
    )

    assert settings.plugins == {"etl": {"batch": "2", "every": "1s"}}


def test_the_file_is_looked_for_in_this_order(elsewhere: Path) -> None:
    for name, threads in [("named", 1), ("variable", 2), ("conf/sereno", 3), ("sereno", 4)]:
        file = elsewhere / f"{name}.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"threads = {threads}\n")
    variable = {"SERENO_CONFIG": "variable.toml"}

    assert load_settings(file=Path("named.toml"), environ=variable, flags={}).threads == 1
    assert load_settings(file=None, environ=variable, flags={}).threads == 2
    assert load_settings(file=None, environ={}, flags={}).threads == 3
    (elsewhere / "conf/sereno.toml").unlink()
    assert load_settings(file=None, environ={}, flags={}).threads == 4


def test_a_file_that_is_named_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match=r"^absent\.toml: cannot be read: No such file"):
        load_settings(file=Path("absent.toml"), environ={}, flags={})
    with pytest.raises(ConfigurationError, match=r"^gone\.toml: cannot be read: No such file"):
        load_settings(file=None, environ={"SERENO_CONFIG": "gone.toml"}, flags={})


def test_the_data_directory_is_the_embedded_servers_to_choose_unless_it_is_set() -> None:
    assert load(HOME="/home/ana").data_dir is None
    assert load("data_dir = '/srv/sereno'", HOME="/home/ana").data_dir == Path("/srv/sereno")


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("\nthreds = 3", "sereno.toml:2: unknown key 'threds', did you mean 'threads'?"),
        ("[http]\nprot = 1", "sereno.toml:2: unknown key 'prot', did you mean 'port'?"),
        (
            "[log]\ncolour = 1",
            (
                "sereno.toml:2: unknown key 'colour' in [log]; known are "
                "'format', 'keep_level', 'level', 'plugins', 'success_level'"
            ),
        ),
        (
            "[http]\n\nport = 'x'",
            "sereno.toml:3: http.port is 'x', it must be a whole number from 0 to 65535",
        ),
        (
            "[http]\nport = '8080'",
            ("sereno.toml:2: http.port is '8080', it must be a whole number from 0 to 65535"),
        ),
        ("http = 3", "sereno.toml:1: http is 3, it must be a table"),
        ("strict = 'yes'", "sereno.toml:1: strict is 'yes', it must be true or false"),
        (
            "lease = 'soon'",
            (
                "sereno.toml:1: lease is 'soon', it must be a duration, as 90s, 10m, "
                "6h, 1d12h or 250ms"
            ),
        ),
        ("lease = '10m'", "sereno.toml:1: lease is '10m', it must be from 1s to 5m"),
        (
            "database_url = 'mysql://db/app'",
            (
                "sereno.toml:1: database_url is 'mysql://db/app', it must be 'embedded' or a URL "
                "that begins with postgresql://"
            ),
        ),
        (
            "leader_database_url = 'embedded'",
            (
                "sereno.toml:1: leader_database_url is 'embedded', it must be a URL that begins "
                "with postgresql://"
            ),
        ),
        (
            "[log]\nlevel = 'inf'",
            (
                "sereno.toml:2: log.level is 'inf', it must be one of critical, debug, error, "
                "info, warning, did you mean 'info'?"
            ),
        ),
        (
            "[log.plugins]\netl = 'loud'",
            (
                "sereno.toml:2: log.plugins.etl is 'loud', it must be one of critical, debug, "
                "error, info, warning"
            ),
        ),
        (
            "disabled_plugins = 3",
            (
                "sereno.toml:1: disabled_plugins is 3, it must be a list, or texts with commas "
                "between them"
            ),
        ),
        ("plugins.etl = 3", "sereno.toml:1: plugins.etl is 3, it must be a table"),
        ("lease = ", "sereno.toml:1: this is no TOML: invalid value"),
        (
            "a = 1\n[b",
            ("sereno.toml:2: this is no TOML: expected ']' at the end of a table declaration"),
        ),
    ],
)
def test_a_fault_in_the_file_is_told_with_its_line(toml: str, sentence: str) -> None:
    assert refusal(toml) == sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SERENO_THREDS", "1", "unknown key 'threds', did you mean SERENO_THREADS?"),
        ("SERENO_HTTP_PORT", "1", "unknown key 'http_port', did you mean SERENO_HTTP__PORT?"),
        ("SERENO_HTTP__PROT", "1", "unknown key 'prot', did you mean SERENO_HTTP__PORT?"),
        ("SERENO_LOGLEVEL", "info", "unknown key 'loglevel', did you mean SERENO_LOG__LEVEL?"),
        ("SERENO_THREADS", "x", "threads is 'x', it must be a whole number from 1 to 10000"),
        ("SERENO_STRICT", "maybe", "strict is 'maybe', it must be true or false"),
        ("SERENO_HTTP", "8080", "http is '8080', it must be a table"),
    ],
)
def test_a_fault_in_the_environment_is_told_with_its_variable(
    name: str, value: str, sentence: str
) -> None:
    assert refusal(**{name: value}) == f"{name}: {sentence}"


def test_a_fault_in_a_flag_is_told_with_its_flag() -> None:
    with pytest.raises(ConfigurationError, match=r"^--http-port: http\.port is 99999, it"):
        load_settings(file=None, environ={}, flags={"http.port": 99999})
    with pytest.raises(ConfigurationError, match=r"^--http-prt: .* did you mean --http-port"):
        load_settings(file=None, environ={}, flags={"http.prt": 1})


def test_all_faults_are_told_at_once() -> None:
    told = refusal("threds = 1\n[http]\nport = 'x'", SERENO_LEASE="1").splitlines()

    assert [line.split(": ")[0] for line in told] == [
        "sereno.toml:1",
        "sereno.toml:3",
        "SERENO_LEASE",
    ]


def test_text_from_the_environment_becomes_what_the_setting_asks_for() -> None:
    settings = load(
        SERENO_THREADS="8",
        SERENO_STRICT="true",
        SERENO_LEASE="3s",
        SERENO_DISABLED_PLUGINS="reports, cleanup",
        SERENO_LOG__PLUGINS__ETL_IVR="debug",
    )

    assert (settings.threads, settings.strict) == (8, True)
    assert settings.lease == timedelta(seconds=3)
    assert settings.disabled_plugins == ("reports", "cleanup")
    assert settings.log.plugins == {"etl_ivr": "debug"}
    assert load(SERENO_DISABLED_PLUGINS='["a,b"]').disabled_plugins == ("a,b",)


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert load("threads = 3", SERENO_THREADS="", SERENO_CONFIG="").threads == 3


def test_variables_that_are_not_ours_are_left_alone() -> None:
    kubernetes_links = {
        "SERENO_PORT": "tcp://10.0.0.1:8765",
        "SERENO_PORT_8765_TCP": "tcp://10.0.0.1:8765",
        "SERENO_PORT_8765_TCP_ADDR": "10.0.0.1",
        "SERENO_SERVICE_HOST": "10.0.0.1",
        "SERENO_SERVICE_PORT_HTTP": "8765",
        "SERENO_HTTP_SERVICE_HOST": "10.0.0.1",
        "SERENO_HTTP_PORT": "tcp://10.0.0.1:8765",
    }

    assert load(SERENO_TEST_POSTGRES="15", **kubernetes_links) == load()


def test_a_plugins_own_host_is_no_link_of_kubernetes() -> None:
    settings = load(SERENO_PLUGINS__PBX__SERVICE_HOST="pbx.local")

    assert settings.plugins == {"pbx": {"service_host": "pbx.local"}}


def test_a_value_and_a_table_under_one_name_contradict_each_other() -> None:
    assert refusal(SERENO_HTTP="x", SERENO_HTTP__PORT="1") == (
        "SERENO_HTTP__PORT: 'http' is set to a value and to a table at once"
    )
