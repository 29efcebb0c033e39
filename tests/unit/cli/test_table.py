import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sereno.cli.table import TableColumn, fitted, fitting_lines

COLUMNS = (
    TableColumn("run", right=True),
    TableColumn("job"),
    TableColumn("cause", drop=1),
    TableColumn("node", drop=2),
    TableColumn("words", grows=True),
    TableColumn("remark", cut=True),
)
ROW = ("12", "etl_ivr.sync", "person", "blue-1", "one two three four five six", "x" * 50)


def lines(width: int, rows: list[tuple[str | Text, ...]]) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    return [line.plain for line in fitting_lines(console, COLUMNS, rows)]


def test_where_there_is_room_nothing_is_cut() -> None:
    assert lines(200, [ROW])[1].strip().split("  ") == list(ROW)


def test_the_highest_drop_goes_first() -> None:
    shown = [fitted(COLUMNS, [cell_len(c) for c in ROW], width) for width in (90, 80, 70)]
    assert [3 in widths for widths in shown] == [True, False, False]
    assert [2 in widths for widths in shown] == [True, True, False]


def test_a_cell_that_may_grow_takes_several_lines_and_one_that_may_be_cut_says_so() -> None:
    found = lines(70, [ROW])
    assert len(found) == 3
    assert found[1].endswith("…")
    assert found[1].startswith(" 12  etl_ivr.sync  one two three four")
    assert found[2].strip() == "five six"


def test_a_column_that_may_be_dropped_and_says_nothing_is_left_out() -> None:
    assert "NODE" not in lines(200, [("1", "a.b", "slot", "-", "", "")])[0]


@given(
    st.integers(40, 200),
    st.lists(
        st.tuples(
            *[st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=60)] * 6
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_no_line_is_wider_than_the_terminal(width: int, rows: list[tuple[str, ...]]) -> None:
    assert all(cell_len(line) <= width for line in lines(width, list(rows)))
