import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from sereno_reports.commands import reports

from .conftest import Make
from .exchange import Exchange

Sereno = Callable[..., Result]


@pytest.fixture
def sereno(database: str, monkeypatch: pytest.MonkeyPatch) -> Sereno:
    """Call ``sereno reports ...`` with the context that the kernel gives."""
    monkeypatch.delenv("SERENO_DATABASE_URL", raising=False)

    def call(*args: str, url: str | None = database) -> Result:
        return CliRunner().invoke(reports, args, obj=SimpleNamespace(database_url=url))

    return call


async def ask(sereno: Sereno, *args: str) -> Result:
    return await asyncio.to_thread(sereno, *args)  # the commands have a loop of their own


async def test_reports_are_listed_shown_and_exported(
    pbx: Exchange, make: Make, sereno: Sereno, tmp_path: Path
) -> None:
    await pbx.queued(pbx.at("2024-11-18T10:00:00"), wait=5, talk=60)
    await pbx.queued(pbx.at("2024-11-19T10:00:00"), wait=5, talk=60)
    await pbx.load()
    await make({"day": "2024-11-18"})
    await make()
    listed = json.loads((await ask(sereno, "list", "--json")).output)
    assert [row["day"] for row in listed] == ["2024-11-19", "2024-11-18"]
    assert listed[0]["total"]["answered"] == 1
    line = (await ask(sereno, "list")).output
    assert "2024-11-19  daily" in line
    assert "offered 1, answered 1, abandoned 0" in line
    shown = await ask(sereno, "show", "2024-11-19", "--language", "es")
    assert "Ofrecidas" in shown.output
    shown = json.loads((await ask(sereno, "show", "2024-11-19", "--json")).output)
    assert len(shown["figures"]["tables"]["hours"]["rows"]) == 24
    starts = {
        "html": b"<!doctype",
        "csv": b"\xef\xbb\xbfInforme",
        "json": b"{",
        "xlsx": b"PK",
        "pdf": b"%PDF",
    }
    for form, start in starts.items():
        path = tmp_path / f"report.{form}"
        result = await ask(
            sereno, "export", "2024-11-19", "--format", form, "-o", str(path), "--json"
        )
        assert json.loads(result.output) == {"file": str(path), "format": form, "revision": 1}
        assert path.read_bytes().startswith(start)
    assert (await ask(sereno, "export", "2024-11-19")).output.startswith("<!doctype html>")


async def test_a_report_is_exported_in_another_language_and_one_table_alone(
    pbx: Exchange, make: Make, sereno: Sereno
) -> None:
    await pbx.queued(pbx.at("2024-11-19T10:00:00"), wait=5, talk=60)
    await pbx.load()
    await make()
    english = await ask(sereno, "export", "2024-11-19", "--language", "en")
    assert 'lang="en"' in english.output
    csv = ["export", "2024-11-19", "--format", "csv", "--table"]
    assert (await ask(sereno, *csv, "agents")).output.startswith("Agente;Nombre;Atendidas")
    wrong = await ask(sereno, *csv, "agent")
    assert (wrong.exit_code, "table 'agent': there is none; there are hours" in wrong.output) == (
        1,
        True,
    )
    assert (await ask(sereno, "export", "2024-11-19", "--table", "agents")).exit_code == 2


async def test_an_older_revision_can_be_shown(pbx: Exchange, make: Make, sereno: Sereno) -> None:
    for hour in (10, 11):
        await pbx.queued(pbx.at(f"2024-11-19T{hour}:00:00"), wait=5, talk=60)
        await pbx.load()
        await make()
    newest = json.loads((await ask(sereno, "show", "2024-11-19", "--json")).output)
    older = json.loads(
        (await ask(sereno, "show", "2024-11-19", "--json", "--revision", "1")).output
    )
    assert (newest["revision"], newest["total"]["answered"]) == (2, 2)
    assert (older["revision"], older["total"]["answered"]) == (1, 1)


async def test_reports_made_with_other_choices_are_told_apart(
    pbx: Exchange, make: Make, sereno: Sereno
) -> None:
    await pbx.load()
    await make(recheck_days=0)
    await make(zone="America/Bogota", language="en", recheck_days=0)
    listed = json.loads((await ask(sereno, "list", "--json")).output)
    pages = [
        (await ask(sereno, "export", row["day"], "--params", row["params"][:6])).output
        for row in listed
    ]
    assert ['lang="en"' in page for page in pages] == [True, False]


def test_before_the_first_report_the_list_says_how_to_make_one(sereno: Sereno) -> None:
    assert "sereno trigger reports.daily --wait" in sereno("list").output
    assert json.loads(sereno("list", "--json").output) == []


def test_a_day_without_report_is_a_failure_with_its_remedy(sereno: Sereno) -> None:
    result = sereno("show", "2024-11-19")
    assert result.exit_code == 1
    assert "no report of 2024-11-19 is kept; make one with: sereno trigger" in result.output


def test_bad_usage_is_told(sereno: Sereno, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sereno("show", "19/11/2024").exit_code == 2
    nowhere = sereno("list", url=None)
    assert nowhere.exit_code == 2
    assert "give --database-url or set SERENO_DATABASE_URL" in nowhere.output
    away = sereno("list", "--database-url", "postgresql://nobody@127.0.0.1:1/none")
    assert away.exit_code == 1
    assert "the reports cannot be read" in away.output


def test_the_environment_names_the_database(
    sereno: Sereno, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERENO_DATABASE_URL", database)
    assert sereno("list", url=None).exit_code == 0
    assert os.environ["SERENO_DATABASE_URL"] == database


async def test_a_file_that_cannot_be_written_is_told(
    pbx: Exchange, make: Make, sereno: Sereno, tmp_path: Path
) -> None:
    await pbx.load()
    await make()
    result = await ask(sereno, "export", "2024-11-19", "-o", str(tmp_path / "none/report.html"))
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.output


async def test_reports_of_an_earlier_version_are_still_listed_and_exported(
    pbx: Exchange, make: Make, sereno: Sereno
) -> None:
    await pbx.load()
    await make()
    await pbx.connection.execute(
        "UPDATE sereno_reports.report SET look = '{}', html = '<p>old</p>',"
        " figures = '{\"total\": {\"answered\": 7}}' WHERE day = '2024-11-19'"
    )
    listed = json.loads((await ask(sereno, "list", "--json")).output)
    assert listed[0]["total"] == {"answered": 7}
    assert "2024-11-19" in (await ask(sereno, "list")).output
    assert (await ask(sereno, "export", "2024-11-19")).output == "<p>old</p>"
    assert "made by an earlier version" in (await ask(sereno, "show", "2024-11-19")).output
    refused = await ask(sereno, "export", "2024-11-19", "--format", "xlsx")
    assert "make it again for other forms" in refused.output
