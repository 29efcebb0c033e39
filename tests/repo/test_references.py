"""The parts of the manual that the code can tell are as it tells them, and leave nothing out."""

import re
from itertools import zip_longest
from pathlib import Path

import pytest
from tools.reference import client, context, settings, sql, triggers
from tools.reference.pages import PARTS, renewed, with_part

import sereno
from sereno import Client
from sereno.settings import Settings
from sereno.settings.values import leaves
from sereno_console.api.document import document

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
PAGES = renewed()


def told(page: str) -> str:
    return (REFERENCE / f"{page}.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_the_code_tells_stands_in_the_page_as_it_tells_it(page: Path) -> None:
    lines = zip_longest(page.read_text().splitlines(), PAGES[page].splitlines())
    other = next(((is_told, is_so) for is_told, is_so in lines if is_told != is_so), None)
    assert other is None, f"{page.name}: `make docs` writes it anew"


def test_a_page_without_the_place_of_its_part_is_refused() -> None:
    with pytest.raises(ValueError, match="must stand in it once"):
        with_part("# A page", "policies", "", "docs/policies.md")


def test_every_page_of_the_folder_is_generated_and_in_its_index() -> None:
    pages = {file.name for file in REFERENCE.glob("*.md")} - {"README.md"}
    assert pages == {Path(name).name for name in PARTS if "/reference/" in name}
    index = told("README")
    assert [page for page in pages if f"]({page})" not in index] == []


@pytest.mark.parametrize("name", sorted(context.names()))
def test_all_that_a_job_is_given_is_in_its_reference(name: str) -> None:
    assert re.search(rf"^(\| `{name}` \| `|### {name}$)", told("context"), re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in dir(Client) if not n.startswith("_")])
def test_every_method_of_the_client_is_in_its_reference(name: str) -> None:
    assert f"\n#### {name}\n" in told("client")


@pytest.mark.parametrize("name", client.value_names())
def test_every_value_of_the_client_is_in_its_reference_with_all_its_fields(name: str) -> None:
    section = told("client").partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    fields = [field for field, _ in client.fields_of(getattr(sereno, name))]
    assert fields
    assert [field for field in fields if f"| `{field}` |" not in section] == []


@pytest.mark.parametrize("key", settings.keys(), ids=settings.variable)
def test_every_setting_is_in_its_reference_with_its_variable(key: tuple[str, ...]) -> None:
    assert f"| `{key[-1]}` | `{settings.variable(key)}` |" in told("settings")


def test_every_table_of_settings_is_in_their_reference() -> None:
    page = told("settings")
    for key in leaves():
        if key not in settings.keys():  # noqa: SIM118
            assert re.search(rf"^\| `\[{key[0]}\.", page, re.MULTILINE)
    assert {key[0] for key in leaves()} == set(Settings.__struct_fields__) - {"origin"}


@pytest.mark.parametrize("function", sql.FUNCTIONS)
def test_every_argument_of_a_sql_function_is_explained(function: str) -> None:
    rows = " ".join(re.findall(r"^\| (`.*?`) \|", told("sql"), re.MULTILINE))
    assert f"`{function}`" in rows
    assert [name for name in sql.arguments(function) if f"`{name}`" not in rows] == []


def test_what_a_caller_may_be_granted_is_in_the_reference_of_sql() -> None:
    granted = re.findall(r"sereno\.(\w+)(?=,| TO )", (ROOT / "docs/rights.md").read_text())
    assert {"enqueue", "alone"} <= set(granted)
    assert set(granted) <= {*sql.FUNCTIONS}


def test_every_page_of_a_replica_is_told() -> None:
    code = "".join(file.read_text() for file in (ROOT / "kernel/sereno/http").glob("*.py"))
    paths = set(re.findall(r'Route\(\s*"(/[^"]*)"', code))
    told = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("http", "health", "metrics"))
    assert len(paths) > 8
    plain = [path.replace(":int}", "}") for path in paths]
    assert [path for path in plain if not re.search(rf"`(?:GET |POST )?{path}`", told)] == []


def test_every_operation_of_the_api_is_in_its_reference() -> None:
    page = told("api")
    known = [(m.upper(), path) for path, methods in document()["paths"].items() for m in methods]
    assert len(known) > 60
    assert [one for one in known if f"| `{one[0]} {one[1]}` |" not in page] == []


def test_slots_in_the_reference_of_triggers_are_those_that_people_mean() -> None:
    rows = triggers.clock_changes()
    assert "| `cron 30 2 * * * Europe/Madrid` | 03:00 | 02:30 (first) |" in rows
    assert (
        "| `cron 30 2 * * * Europe/Madrid fold=both` | 03:00 | 02:30 (first), 02:30 (second) |"
        in rows
    )
    assert "Mon 02 Mar 08:00, Mon 16 Mar 08:00, Mon 30 Mar 08:00" in triggers.ways()
