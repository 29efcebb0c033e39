"""What was raised is told whatever its size and shape, and nothing of it is copied whole."""

import linecache
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from sereno.model import fault


class _Huge(str):
    """A text that is no plain one."""

    def __getitem__(self, part: Any) -> str:
        raise AssertionError("its own code is not to be asked")


def raised(act: Callable[[], Any]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def _fail(error: BaseException) -> Any:
    raise error


def _chained(count: int) -> BaseException:
    error: BaseException = ValueError("number 0")
    for n in range(1, count):
        error = _from(ValueError(f"number {n}"), error)
    return error


def _from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def _deep(n: int) -> None:
    if n:
        _deep(n - 1)
    raise ValueError("at the bottom")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("plain"),
        ValueError(),
        ValueError("two", 3, {"b": [1, (2,)], "a": b"x"}),
        ValueError(["a", {"b": None}]),
        KeyError("key"),
        KeyError("a", "b"),
        OSError(2, "No such file or directory", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
    ],
)
def test_an_error_says_what_python_says(error: Exception) -> None:
    assert fault.message(error) == str(error)
    assert fault.sentence(error) == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "act",
    [
        lambda: _fail(ValueError("plain")),
        lambda: _fail(ValueError()),
        lambda: _fail(KeyError("two\nlines")),
        lambda: _fail(_from(ValueError("a"), KeyError("b"))),
        lambda: [1][2],
        lambda: _deep(30),
    ],
)
def test_a_traceback_is_pythons(act: Callable[[], Any]) -> None:
    error = raised(act)

    assert fault.traceback_of(error) == "".join(traceback.format_exception(error)).rstrip("\n")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("x" * 10_000_000),
        lambda: ValueError("x " * 5_000_000),
        lambda: KeyError("\x00" * 10_000_000),
        lambda: ValueError(b"\xff" * 10_000_000),
        lambda: ValueError(["y" * 10_000_000] * 3),
        lambda: ValueError(list(range(1_000_000)), {n: n for n in range(100_000)}),
        lambda: ExceptionGroup("z" * 1_000_000, [ValueError("x" * 1_000_000)] * 500),
        lambda: type("N" * 1_000_000, (Exception,), {})("m"),
        lambda: SyntaxError("s" * 1_000_000, ("f" * 1_000_000, 1, 1, "t" * 10_000_000)),
        lambda: _chained(3_000),
    ],
)
def test_an_error_of_any_size_is_told_within_its_limit(make: Callable[[], BaseException]) -> None:
    error = make()  # here: what is made while tests are collected stays in memory till the end
    assert len(fault.sentence(error)) < fault.MAX_MESSAGE + 300
    error.add_note("n" * 10_000_000)
    found = fault.traceback_of(raised(lambda: _fail(error)))
    assert 0 < len(found) < fault.MAX_TRACEBACK + 300
    assert "test_fault.py" in found or "cut" in found


def test_the_last_error_of_a_long_chain_and_the_first_are_told() -> None:
    found = fault.traceback_of(_chained(3_000))

    assert "ValueError: number 2999" in found
    assert "ValueError: number 0\n" in found
    assert "… 2990 more errors in between …" in found
    assert found.index("number 0\n") < found.index("in between") < found.index("number 2999")


def test_a_thousand_frames_keep_the_first_and_the_last() -> None:
    names: dict[str, Any] = {}
    code = "def a(n):\n    b(n - 1)\ndef b(n):\n    if n < 0: raise ValueError('x')\n    a(n)\n"
    exec(compile(code, "<made>", "exec"), names)

    found = fault.traceback_of(raised(lambda: names["a"](400)))

    assert len(found) < fault.MAX_TRACEBACK + 300
    assert found.endswith("ValueError: x")
    assert "frames between them are left out" in found


def test_a_source_line_of_any_length_is_cut() -> None:
    code = "x = '" + "y" * 5_000_000 + "' + 1"
    linecache.cache["<long>"] = (len(code), None, [code], "<long>")

    found = fault.traceback_of(raised(lambda: exec(compile(code, "<long>", "exec"))))

    assert len(found) < 3_000
    assert "characters, cut" in found


class _Evil(Exception):
    def __str__(self) -> str:
        sys.exit(3)


class _Liar(Exception):
    def __str__(self) -> str:
        return _Huge("mine")


def test_no_code_of_an_error_ends_who_tells_it() -> None:
    assert fault.sentence(_Evil()) == "_Evil: (its message cannot be told: SystemExit)"
    assert fault.sentence(_Liar()) == "_Liar: mine"
    assert fault.traceback_of(raised(lambda: _fail(_Evil()))).endswith(
        "_Evil: (its message cannot be told: SystemExit)"
    )
