"""Texts are cut between words, and show what would act on a terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno.model.text import cut, shortened, visible, visible_json, visible_line

ESCAPES = {
    "\x1b[2J": r"\x1b[2J",
    "\x1b]8;;http://evil\x1b\\here": r"\x1b]8;;http://evil\x1b" + "\\here",
    "\x1b]52;c;cm0gLXJm\x07": r"\x1b]52;c;cm0gLXJm\x07",
    "\x9b2J": r"\x9b2J",
    "evil\u202etxt.exe": r"evil\u202etxt.exe",
    "a\rb": r"a\rb",
    "a\x08b": r"a\x08b",
    "a\u2028b": r"a\u2028b",
    "a\u2066b\u2069": r"a\u2066b\u2069",
    "a\u200bb\ufeff": r"a\u200bb\ufeff",
    "a\x00b\x7f": r"a\x00b\x7f",
    "\ud800": r"\ud800",
    "\U000e0041": r"\U000e0041",
}


@pytest.mark.parametrize(("text", "shown"), ESCAPES.items())
def test_what_acts_on_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == visible_line(text) == shown


@pytest.mark.parametrize(
    "text", ["ñandú, 3 €", "👩‍👩‍👧", "नमस्ते", "می‌خواهم", "[red]x[/red]", "שלום"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == visible_line(text) == visible_json(text) == text


def test_lines_stay_lines_where_they_may() -> None:
    assert visible("a\n\tb") == "a\n\tb"
    assert visible_line("a\n\tb") == r"a\n\tb"


@given(st.text())
def test_json_says_the_same_with_its_own_escapes(text: str) -> None:
    written = visible_json(json.dumps(text, ensure_ascii=False))

    assert json.loads(written) == text
    assert visible(written) == written


@given(st.text(), st.integers(2, 50))
def test_a_cut_text_is_never_longer_than_its_limit_and_a_note(text: str, limit: int) -> None:
    for found in (cut(text, limit), shortened(text, limit)):
        assert found == text if len(text) <= limit else len(found) <= limit + 40


def test_a_text_is_cut_between_words() -> None:
    text = "begin " * 10 + "postgresql://ana:hunter2@db/app" + " end" * 10

    for limit in range(60, 125):
        for found in (cut(text, limit), shortened(text, limit)):
            assert "hunter2" not in found.replace("postgresql://ana:hunter2@db/app", "")
            assert "hunt" not in found.replace("postgresql://ana:hunter2@db/app", "")


def test_a_long_word_that_is_cut_keeps_no_half_of_a_password() -> None:
    text = "x " + "postgresql://ana:" + "s3cr3t" * 5_000 + "@db"

    assert "s3cr3t" not in cut(text, 2_000)
    assert "s3cr3t" not in shortened(text, 2_000)
