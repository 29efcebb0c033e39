"""Every catalogue of words is whole, and what is compiled of it says the same."""

from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "plugins").glob("*/sereno_*/**/*.po"))
COMPILED = sorted((ROOT / "plugins").glob("*/sereno_*/**/*.mo"))


def _forms(text: Any) -> tuple[str, ...]:
    """Return a text, or its singular and plurals, which are read as a list or a tuple."""
    return (text,) if isinstance(text, str) else tuple(text)


def words(catalog: Catalog) -> dict[tuple[str | None, ...], tuple[str, ...]]:
    """Return what each sentence is in a catalogue's language."""
    return {
        (*_forms(message.id), message.context): _forms(message.string)
        for message in catalog
        if message.id
    }


def test_there_are_catalogues_of_the_console_and_of_django() -> None:
    names = {path.relative_to(ROOT).parts[1] for path in SOURCES}
    assert {"console", "django"} <= names


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.name + "/" + path.name)
def test_no_sentence_of_a_catalogue_is_without_its_words(source: Path) -> None:
    with source.open("rb") as file:
        catalog = read_po(file)
    forms = [
        (message.id, form) for message in catalog if message.id for form in _forms(message.string)
    ]
    assert len(forms) > 10
    assert [sentence for sentence, form in forms if not form.strip()] == []
    assert [message.id for message in catalog if message.id and message.fuzzy] == []


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda path: path.parent.name + "/" + path.name)
def test_what_is_compiled_says_what_its_source_says(compiled: Path) -> None:
    with compiled.open("rb") as file:
        found = words(read_mo(file))
    with compiled.with_suffix(".po").open("rb") as file:
        assert found == words(read_po(file))
