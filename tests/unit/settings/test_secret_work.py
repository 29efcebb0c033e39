"""Hiding secrets costs what a text's length costs: characters are counted, no seconds."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.settings import redact, secret

from ...regex_steps import Counted

FRAGMENTS = [
    *"a0 \n\t:@/=\\\"'-.,?é",
    *(
        "f0",
        "://",
        "http://",
        "x://a:",
        "x://a:b@c",
        "a@b",
        "://a",
        "/webhook",
        "/hooks/",
        "/bot1:",
    ),
    *("password", "password=", 'password="', "password='", 'token\\"', 'pwd=\\"', "auth: digest "),
    *("secret:[", "secret:{", "pin = ", "Bearer ", "Basic a", "pass:bearer ", "x=", "x: ", "[("),
    *("-----BEGIN ", "-----END", "PRIVATE KEY-----"),
]


class _Text(str):
    """A text that counts what is looked for in it."""

    def find(self, *args: Any) -> int:
        found = super().find(*args)
        start, stop = (args[1:] + (0, len(self))[len(args) - 1 :])[:2]
        Counted.steps += (stop if found < 0 else found) - start
        return found

    def rfind(self, *args: Any) -> int:
        Counted.steps += args[2] - args[1]
        return super().rfind(*args)


def work(text: str) -> int:
    """Return how many characters are looked at to hide the secrets of `text`."""
    Counted.steps = 0
    redact(_Text(text))
    return Counted.steps


@pytest.fixture(scope="module", autouse=True)
def _counting() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in list(vars(secret).items()):
            if isinstance(value, re.Pattern):
                patched.setattr(secret, name, Counted(value))
        yield


def assert_linear(unit: str, before: str = "", after: str = "") -> None:
    few = work(before + unit * (300 // len(unit) + 1) + after)
    many = work(before + unit * (1200 // len(unit) + 1) + after)

    assert many <= 5 * few + 2_000, (unit, few, many)


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_text_of_one_piece_over_and_over_costs_its_length(fragment: str) -> None:
    assert_linear(fragment)
    assert_linear(fragment, before="postgresql://ana:", after="@x")
    assert_linear(fragment, before='password="', after="ana@example.com")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=2, max_size=4), st.sampled_from(FRAGMENTS))
def test_a_text_of_any_pieces_over_and_over_costs_its_length(unit: list[str], end: str) -> None:
    assert_linear("".join(unit), after=end)


def test_a_dump_in_hex_with_an_address_in_it_costs_its_length() -> None:
    assert_linear("0f3a", before="ana@example.com ", after=" ana@example.com")
