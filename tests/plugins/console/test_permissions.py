"""What somebody may: never more than their scopes say, however a filter or a path is worded."""

from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import ParamsError
from sereno_console.security.permissions import ACTIONS, ROLES, Access
from sereno_console.web.request import address, segments
from sereno_console.web.routes import FoundRoute, RouteTable, WebRoute

PATTERNS = st.text("ab.*?[]", min_size=1, max_size=6)
NAMES = st.text("ab.", min_size=1, max_size=6)


@given(mine=PATTERNS, wanted=PATTERNS, name=NAMES)
def test_what_a_filter_stands_for_is_mine_where_the_filter_is(
    mine: str, wanted: str, name: str
) -> None:
    access = Access.of([f"read:{mine}"])
    if access.allows("read", wanted) and mine != wanted and fnmatchcase(name, wanted):
        assert fnmatchcase(name, mine)


@given(st.lists(st.sampled_from([*ROLES, *ACTIONS]), max_size=4), st.sampled_from(ACTIONS))
def test_an_action_is_allowed_by_a_scope_alone(scopes: list[str], action: Any) -> None:
    named = {a for scope in scopes for a in ROLES.get(scope, {scope})}
    assert Access.of(scopes).allows(action, "a.b") == (action in named)


@given(st.text(max_size=30))
def test_a_scope_is_read_or_refused(scope: str) -> None:
    with suppress(ParamsError):
        Access.of([scope])


@pytest.mark.parametrize("scope", ["", "admins", "pause:", ":x", "READ", "read " * 50, "read\0"])
def test_a_scope_that_is_none_is_refused(scope: str) -> None:
    with pytest.raises(ParamsError):
        Access.of([scope])


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_every_name_stands_in_an_address_and_comes_back(parts: list[str]) -> None:
    raw = address(*parts).encode()
    scope = {"path": "/x", "raw_path": b"/console" + raw, "root_path": "/console"}
    assert segments({**scope, "path": "/console/x"}) == parts


@pytest.mark.parametrize(
    ("scope", "parts"),
    [
        ({"path": "/", "raw_path": b"/"}, [""]),
        ({"path": "/console/", "raw_path": b"/console/", "root_path": "/console"}, [""]),
        ({"path": "/p/console/a", "raw_path": b"/p/console/a", "root_path": "/p/console"}, ["a"]),
        ({"path": "/a/b", "raw_path": b"/a%2Fb?x=%2F", "root_path": ""}, ["a/b"]),
        ({"path": "/a", "root_path": "/elsewhere"}, ["a"]),
        ({"path": "/a\ufffd", "raw_path": b"/a%ff", "root_path": ""}, ["a\ufffd"]),
        ({"path": "/console/..", "raw_path": b"/console/..", "root_path": "/console"}, [".."]),
    ],
)
def test_a_path_is_split_where_it_was_joined(scope: dict[str, Any], parts: list[str]) -> None:
    assert segments(scope) == parts


def test_a_word_goes_before_a_variable_and_nothing_is_there_twice() -> None:
    async def handler(request: Any) -> None: ...

    table = RouteTable()
    for path in ("/runs/{run}", "/runs/count", "/runs/{run}/log"):
        table.add(WebRoute("GET", path, handler, "read"))
    found = table.find("HEAD", ["runs", "count"])
    assert isinstance(found, FoundRoute)
    assert (found.route.path, found.arguments) == ("/runs/count", {})
    assert table.find("POST", ["runs", "7"]) == ["GET", "HEAD"]
    assert table.find("GET", ["runs", ""]) == []
    assert table.find("GET", ["runs"]) == []
    with pytest.raises(ValueError, match="has a handler already"):
        table.add(WebRoute("GET", "/runs/{other}", handler, "read"))
