"""What documents name is there: files, rooms, words of the code, pages and the headings in them."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import sereno
import sereno.testing
from sereno import RunContext
from sereno.model.policies import POLICY_NAMES

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "kernel/sereno"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
PLUGINS = (ROOT / "docs/plugins.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

_FILE = re.compile(r"`((?:[\w.{}|]+/)*[\w.]+\.(?:py|sql|toml|md|yml|html))`|`((?:[\w.]+/)+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def named(text: str) -> list[str]:
    """Return the files and folders that stand in backticks, but a reader's own, as `some.toml`."""
    found = [a or b for a, b in _FILE.findall(text)]
    return [name for name in found if "/" in name or name.endswith((".py", ".sql"))]


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def exists(name: str) -> bool:
    places = [ROOT, ROOT / "conf", ROOT / "tests/integration", KERNEL, *ROOT.glob("plugins/*")]
    return any((place / name).exists() for place in places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    text = page.read_text().split("\n## For who has a branch")[0]  # which names those of before

    assert [name for name in named(text) if "NNNN" not in name and not exists(name)] == []


def test_names_of_files_are_found() -> None:
    assert len(named(ARCHITECTURE)) > 80
    assert not exists("engine/no_such.py")


def test_what_has_moved_is_where_it_is_said_to_be() -> None:
    moves = section((ROOT / "CONTRIBUTING.md").read_text(), "For who has a branch")
    rows = re.findall(r"^\| (.*) \| (.*) \|$", moves, re.MULTILINE)

    assert len(rows) > 30
    assert [name for _, now in rows for name in named(now) if not exists(name)] == []


def test_every_word_of_the_code_in_the_architecture_is_one() -> None:
    words = set(re.findall(r"`(\w*[a-z]\w*)`", ARCHITECTURE))
    rooms = (KERNEL, ROOT / "plugins")
    files = (f for room in rooms for f in room.rglob("*") if f.suffix in {".py", ".sql"})
    code = " ".join(f.read_text() for f in files)

    assert len(words) > 15
    assert [word for word in sorted(words) if not re.search(rf"\b{word}\b", code)] == []


def test_every_walk_has_at_most_eight_steps() -> None:
    walks = re.findall(r"^## (The walk of .*)$", ARCHITECTURE, re.MULTILINE)
    steps = [re.findall(r"^(\d+)\. ", section(ARCHITECTURE, w), re.MULTILINE) for w in walks]

    assert len(walks) == 6
    for taken in steps:
        assert taken == [str(n) for n in range(1, len(taken) + 1)]
        assert 4 <= len(taken) <= 8


def test_every_room_of_the_kernel_is_in_the_table() -> None:
    rooms = {f"{p.name}/" for p in KERNEL.iterdir() if (p / "__init__.py").exists()}
    files = {p.name for p in KERNEL.glob("*.py") if not p.name.startswith("__")}

    assert sorted(told_rooms()) == sorted(rooms | files)


def test_rooms_stand_in_the_order_in_which_they_may_import() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in settings["contracts"] if c.get("containers") == ["sereno"])

    assert [re.sub(r"/|\.py", "", room) for room in told_rooms()] == layers[::-1]


def told_rooms() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section(ARCHITECTURE, "Rooms"), re.MULTILINE)


def test_every_word_of_the_glossary_is_one_of_the_code() -> None:
    words = re.findall(r"^\| ([a-z ]+) \| [^|]+ \|$", section(ARCHITECTURE, "Words"), re.MULTILINE)
    kept = (f for f in KERNEL.rglob("*") if f.suffix in {".py", ".sql"})
    code = re.sub(r"[\s_]+", " ", " ".join(f.read_text() for f in kept)).lower()

    assert len(words) > 20
    assert [word for word in words[1:] if word not in code] == []


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_every_policy_is_told_to_who_writes_a_job(policy: str) -> None:
    assert f"`{policy}`" in section(PLUGINS, "A job")


@pytest.mark.parametrize("given", [name for name in dir(RunContext) if not name.startswith("_")])
def test_all_that_a_job_is_given_is_told(given: str) -> None:
    assert re.search(rf"\b{given}\b", section(PLUGINS, "What a job is given"))


@pytest.mark.parametrize("name", [*sereno.__all__, *sereno.testing.__all__])
def test_every_public_name_is_told_to_who_writes_a_plugin(name: str) -> None:
    assert re.search(rf"\b{name}\b", PLUGINS)


def test_no_entry_of_the_changelog_stands_twice() -> None:
    entries = re.split(r"\n(?=- |\n|#|\*\*)", (ROOT / "CHANGELOG.md").read_text())
    told = [entry.strip() for entry in entries if entry.startswith("- ")]

    assert len(told) > 100
    assert [entry for entry in set(told) if told.count(entry) > 1] == []


def test_every_table_is_on_the_page_of_the_schema() -> None:
    page = (ROOT / "docs/schema.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", page.split("\nFunctions:")[0], re.MULTILINE)
    sql = "".join(f.read_text() for f in (KERNEL / "store").rglob("*.sql"))

    made = set(re.findall(r"CREATE TABLE sereno\.(\w+)", sql))
    assert sorted(told) == sorted(made - set(re.findall(r"DROP TABLE sereno\.(\w+)", sql)))


def test_every_decision_is_in_the_index_with_its_title() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    for page in (ROOT / "docs/adr").glob("[0-9]*.md"):
        number, title = page.read_text().splitlines()[0].removeprefix("# ").split(". ", 1)

        assert page.name.startswith(f"{int(number):04}-")
        assert f"\n| {number} | {title} | [{page.name}]({page.name}) |" in index


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs/adr").glob("[0-9]*.md")), ids=lambda p: p.stem
)
def test_a_decision_tells_its_context_and_its_consequence(page: Path) -> None:
    text = page.read_text()

    assert "**Context" in text
    assert "**Decision" in text
    assert "**Evidence" in text or "**Consequence" in text


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in _LINK.findall(_FENCED.sub("", page.read_text())):
            if "://" not in target:
                yield page, target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.add(next(a for a in numbered(kept) if a not in found))
    return found


def numbered(anchor: str) -> Iterator[str]:
    yield anchor
    for n in range(1, 100):
        yield f"{anchor}-{n}"


def test_every_link_leads_to_a_page_and_a_heading() -> None:
    broken = []
    for page, target in links():
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(f"{page.relative_to(ROOT)}: {target}")

    assert broken == []
