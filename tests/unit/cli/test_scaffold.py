import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import Call

FILES = [
    ".github/workflows/ci.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "sereno_call_import/__init__.py",
    "sereno_call_import/plugin.py",
    "sereno_call_import/py.typed",
    "tests/test_plugin.py",
]


@pytest.fixture
def package(call: Call, tmp_path: Path) -> Path:
    result = call("new-plugin", "call-import")
    assert result.exit_code == 0, result.output
    return tmp_path / "sereno-call-import"


def run(*command: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else dict(os.environ)
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_a_new_plugin_is_a_complete_package(package: Path) -> None:
    found = sorted(str(p.relative_to(package)) for p in package.rglob("*") if p.is_file())
    assert found == FILES


def test_it_says_what_to_do_next(call: Call) -> None:
    lines = call("new-plugin", "call-import").stdout.splitlines()
    steps = [re.sub(r"\S*/(?=(pip|pytest|sereno) )", "", line) for line in lines[-7:]]
    assert steps == [
        "Next:",
        "  pip install -e 'sereno-call-import[dev]'",
        "  pytest sereno-call-import",
        "  sereno check",
        "  sereno run &",
        "  sereno trigger call_import.greet --wait",
        "  kill %1",
    ]


@pytest.mark.parametrize("name", ["sereno-call-import", "sereno_call_import", "Sereno.call-import"])
def test_the_prefix_of_its_package_is_no_part_of_its_name(
    name: str, call: Call, tmp_path: Path
) -> None:
    assert call("new-plugin", name).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sereno-call-import"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Billing", "billing"),
        ("my.plugin", "my-plugin"),
        ("call import", "call-import"),
        ("\N{LATIN SMALL LETTER N WITH TILDE}and\N{LATIN SMALL LETTER U WITH ACUTE}", "nandu"),
        ("a--b", "a-b"),
        ("sereno-Billing", "billing"),
    ],
)
def test_a_name_that_is_almost_one_gets_a_suggestion(
    name: str, near: str, call: Call, tmp_path: Path
) -> None:
    result = call("new-plugin", "--", name)
    assert result.exit_code == 2
    assert result.stderr.endswith(f"; did you mean '{near}'?\n")
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_plugin_that_is_installed_is_taken(call: Call, tmp_path: Path) -> None:
    for name in ("call-import", "sereno_call_import"):
        result = call("new-plugin", name, plugins={"call_import": {}})
        assert result.exit_code == 2
        assert "there is a plugin 'call_import' already; choose another name" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_its_own_tests_pass(package: Path) -> None:
    done = run(sys.executable, "-m", "pytest", "-q", cwd=package, path=package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_it_keeps_to_the_style_of_its_own_linter_and_types(package: Path) -> None:
    lint = run(
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select=E,F,I,B,UP",
        "--line-length=100",
        ".",
        cwd=package,
    )
    assert lint.returncode == 0, lint.stdout
    types = run(sys.executable, "-m", "mypy", cwd=package)
    assert types.returncode == 0, types.stdout
    assert "in 3 source files" in types.stdout  # its test is typed too
    (package / "tests/test_plugin.py").write_text("def wrong() -> int:\n    return 'text'\n")
    assert run(sys.executable, "-m", "mypy", cwd=package).returncode == 1


def test_it_builds_and_what_is_built_is_loaded(package: Path, tmp_path: Path) -> None:
    built = run(
        sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index",
        "--wheel-dir", str(tmp_path), str(package), cwd=tmp_path,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    (metadata,) = site.glob("*.dist-info")
    assert (metadata / "licenses/LICENSE").read_text() == (package / "LICENSE").read_text()
    assert (package / "README.md").read_text() in (metadata / "METADATA").read_text()
    done = run(sys.executable, "-m", "sereno", "plugins", cwd=tmp_path, path=site)
    row = next(line for line in done.stdout.splitlines() if line.startswith("call_import"))
    assert row.split() == ["call_import", "0.1.0", "loaded", "1", "sereno-call-import"]
    checked = run(sys.executable, "-m", "sereno", "check", cwd=tmp_path, path=site)
    assert "call_import.greet" in checked.stdout


@pytest.mark.parametrize(
    "name",
    [
        "2fast",
        "../x",
        "a-",
        "",
        "x" * 61,
        "sereno",
        "sereno-",
        "sereno-sereno",
        "\N{CYRILLIC SMALL LETTER A}",
    ],
)
def test_a_name_that_no_package_may_have_is_refused(name: str, call: Call, tmp_path: Path) -> None:
    result = call("new-plugin", "--", name)
    assert result.exit_code == 2
    assert f"'{name}' is no name of a plugin" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(package: Path, call: Call) -> None:
    result = call("new-plugin", "call_import")
    assert result.exit_code == 2
    assert result.stderr.startswith("sereno: sereno-call-import exists already")


def test_a_place_where_nothing_can_be_written_is_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = call("new-plugin", "billing", "--directory", "file/deeper")
    assert result.exit_code == 2
    assert "file/deeper" in result.stderr
