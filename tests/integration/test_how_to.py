"""Every how-to is a test file as it stands: pytest runs them all, as a reader would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..servers.postgres import PostgresServer

FOLDER = Path(__file__).parents[2] / "docs/how-to"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.timeout(180)
def test_the_code_of_every_page_passes_its_own_tests(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    for page in PAGES:
        code = "\n\n".join(blocks(page))
        (tmp_path / f"test_{page.stem.replace('-', '_')}.py").write_text(code)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SERENO_"))}
    environment["SERENO_TEST_DATABASE_URL"] = postgres_server.dsn("postgres")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "."],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-1000:]
    for page in PAGES:
        assert f"test_{page.stem.replace('-', '_')}.py::test_" in ended.stdout


def test_every_page_is_in_the_index_and_has_a_test_of_its_own() -> None:
    index = (FOLDER / "README.md").read_text()
    assert len(PAGES) == 11
    for page in PAGES:
        assert f"]({page.name})" in index
        assert "def test_" in blocks(page)[-1]
