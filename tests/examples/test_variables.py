"""A variable that an example cannot read ends its start with a sentence that names it."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from sereno import ConfigurationError

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = {
    "callcenter": "callcenter/settings.py",
    "students": "lucy/settings.py",
    "telemetry": "backend/settings.py",
}
WRONG = {
    "CALLCENTER_SCHEDULER": "flase",
    "CALLCENTER_VAR": "/dev/null/var",
    "DATABASE_URL": "mysql://callcenter",
    "MAIL_PORT": "abc",
    "MAIL_SECURITY": "ssl",
    "STDERR_LEVEL": "loud",
    "SIAL_URL": "sial",
    "GRAPH_URL": "graph.example",
    "MOODLE_URL": "//moodle",
    "ALERTS_URL": "guard",
    "PANACCESS_TIME_ZONE": "Europe/Madird",
    "PANACCESS_URL": "panaccess",
    "TELEMETRY_LOGS": "/dev/null/logs",
    "TELEMETRY_RETRY_SECONDS": "0",
    "TELEMETRY_SYNC_SECONDS": "inf",
}
ANY_TEXT = {  # or what a plugin checks by a rule of its own
    *("DOMAIN", "MAIL_HOST", "PBX_URL", "SECRET_KEY", "PANACCESS_USERNAME", "PANACCESS_PASSWORD"),
    *("PANACCESS_SALT", "PANACCESS_API_TOKEN"),
}


def read(project: str) -> set[str]:
    """Return the variables that an example's settings read."""
    source = (EXAMPLES / project / SETTINGS[project]).read_text()
    assert "import os" not in source, "each variable is read by its rule"
    return set(re.findall(r'variable\(\s*"(\w+)"', source))


@pytest.mark.parametrize(
    ("project", "name"),
    [(one, name) for one in SETTINGS for name in sorted(read(one) - ANY_TEXT)],
)
def test_each_variable_of_a_project_s_settings_has_its_sentence(
    project: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CALLCENTER_VAR", str(tmp_path))
    monkeypatch.setenv("TELEMETRY_LOGS", str(tmp_path))
    monkeypatch.setenv(name, WRONG[name])
    with pytest.raises(ConfigurationError) as told:
        runpy.run_path(str(EXAMPLES / project / SETTINGS[project]))
    assert name in str(told.value) or name == "DATABASE_URL"


@pytest.mark.parametrize("project", SETTINGS)
def test_a_command_says_it_and_nothing_else(project: str, tmp_path: Path) -> None:
    name = next(iter(sorted(read(project) - ANY_TEXT - {"DATABASE_URL", "CALLCENTER_VAR"})))
    told = {"CALLCENTER_VAR": str(tmp_path), "TELEMETRY_LOGS": str(tmp_path), name: WRONG[name]}
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=EXAMPLES / project,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert re.fullmatch(rf"{name} is '{WRONG[name]}', it must be [^\n]+\n", ended.stderr), ended
