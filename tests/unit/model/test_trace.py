import pytest

from sereno.model.trace import is_traceparent, traceparents

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("text", [GOOD, GOOD[:-2] + "00", "cc" + GOOD[2:] + "-what.comes-later"])
def test_a_traceparent_is_known(text: str) -> None:
    assert is_traceparent(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ff" + GOOD[2:],
        GOOD.upper(),
        GOOD + "-more",
        GOOD[:-1],
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GOOD.replace("00f067aa0ba902b7", "0" * 16),
        f" {GOOD}",
        "cc" + GOOD[2:] + "-" + "x" * 600,
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_traceparent(text)


def test_a_context_gives_its_parent_then_its_links_and_nothing_that_is_broken() -> None:
    other = GOOD.replace("00f067aa0ba902b7", "b7ad6b7169203331")

    assert traceparents(f"{GOOD} nonsense {other}") == [GOOD, other]
    assert traceparents(None) == []
