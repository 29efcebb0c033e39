import os
import subprocess
import sys
from pathlib import Path

import pytest

from sereno import ConfigurationError
from sereno.settings import Settings, TracingSettings, load_settings
from sereno.tracing.otel import set_up
from sereno.tracing.switch import can_trace, is_on

ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        (TracingSettings(enabled="on"), {}),
        (TracingSettings(endpoint="http://127.0.0.1:4318"), {}),
        (TracingSettings(), ON),
        (TracingSettings(), {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/x"}),
        (TracingSettings(), {"OTEL_TRACES_EXPORTER": "console"}),
    ],
)
def test_it_is_on(settings: TracingSettings, environ: dict[str, str]) -> None:
    assert is_on(settings, environ)


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        (TracingSettings(), {}),
        (TracingSettings(), {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}),
        (TracingSettings(enabled="off", endpoint="http://127.0.0.1:4318"), ON),
        (TracingSettings(enabled="on"), {**ON, "OTEL_SDK_DISABLED": "TRUE"}),
        (TracingSettings(), {**ON, "OTEL_TRACES_EXPORTER": "none"}),
    ],
)
def test_it_is_off(settings: TracingSettings, environ: dict[str, str]) -> None:
    assert not is_on(settings, environ)
    assert not can_trace(Settings(tracing=settings), environ)


@pytest.mark.parametrize(
    "environ",
    [{"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}],
)
def test_an_exporter_that_is_not_installed_is_named_beside_those_that_are(
    environ: dict[str, str],
) -> None:
    wanted = next(iter(environ.values()))

    with pytest.raises(ConfigurationError, match=f"'{wanted}' is installed.*otlp_proto_http"):
        set_up(TracingSettings(), "node", environ)


def test_an_endpoint_that_is_no_address_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[tracing]\nendpoint = "collector:4318"\n')

    with pytest.raises(ConfigurationError, match=r"tracing\.endpoint.*http://"):
        load_settings(file=file, environ={}, flags={})


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from sereno.cli import main
from sereno.settings import Settings
from sereno.tracing import can_trace
print(can_trace(Settings()))
sys.argv = ["sereno", "check", "--config", sys.argv[1]]
sys.exit(main())
"""


def test_without_the_extra_a_wish_is_told_and_an_order_is_refused_with_the_remedy(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sereno.toml"
    file.write_text('[tracing]\nenabled = "on"\n')
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, file],
        env={**os.environ, **ON},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 2, done.stderr
    assert done.stdout == "False\n"
    wish, order = done.stderr.splitlines()
    assert wish.startswith("not traced")
    assert f"{file}:2: " in order
    assert 'pip install "sereno[otel]"' in order
