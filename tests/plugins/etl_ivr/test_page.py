"""How what one statement read is cut into pages: no line is lost, and no second is split."""

from hypothesis import given
from hypothesis import strategies as st

from sereno_etl_ivr.page import Range, SourcePage
from sereno_etl_ivr.source import mysql_copy

START = 2026_03_01_10_00_00
SECONDS = st.lists(st.integers(0, 59), min_size=1, max_size=60)


@given(seconds=SECONDS, rows=st.integers(1, 20))
def test_a_page_is_cut_between_seconds_into_ranges_that_are_the_whole(
    seconds: list[int], rows: int
) -> None:
    lines = [b"%d\x1fline %d" % (START + second, n) for n, second in enumerate(seconds)]
    whole = SourcePage(
        range=Range(START, START + 60),
        rows=len(lines),
        lines=lines,
        place=mysql_copy.POSITION,
        text=mysql_copy.text,
        null="",
    )

    pages = list(whole.cut(rows))

    assert sorted(line for page in pages for line in page.lines) == sorted(lines)
    ends = [page.range.end for page in pages]
    assert [page.range.start for page in pages] == [START, *ends[:-1]]
    assert ends[-1] == START + 60
    for page in pages:
        found = {int(line[:14]) for line in page.lines}
        assert all(page.range.start <= at < page.range.end for at in found)
        assert page.is_whole
        assert page.rows <= rows or len(found) == 1
