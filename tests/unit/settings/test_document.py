import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import ConfigurationError
from sereno.settings.document import read_document

EVERY_SHAPE = Path(__file__).with_name("every_shape.toml")


def test_every_key_has_its_line() -> None:
    tables, origin = read_document(EVERY_SHAPE)

    assert tables == tomllib.loads(EVERY_SHAPE.read_text())
    lines = EVERY_SHAPE.read_text().splitlines()
    found = {key: int(place.text.rsplit(":", 1)[1]) for key, place in origin.places.items()}
    for key in _keys(tables):
        if isinstance(key[-1], str):
            assert key[-1] in lines[found[key] - 1].replace("\\u0061", "a"), key
    assert set(_keys(tables)) <= set(found)
    assert lines[found["table", "list", 2] - 1] == "  [3, 4],"
    assert lines[found["many", 1, "twelve"] - 1] == "twelve = 12"
    assert lines[found["many", 1, "deep", 0, "thirteen"] - 1] == "thirteen = 13"


def _keys(value: Any, key: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    found = []
    for name, item in items:
        found += [(*key, name), *_keys(item, (*key, name))]
    return found


@given(st.text(alphabet="[]{}=,.#\"'\n ab1_-\\", max_size=40))
def test_no_text_that_toml_accepts_can_hang_or_break_the_search(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text)
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(ConfigurationError, match=r"any\.toml:\d+: this is no TOML: "):
            read_document(file)
        return
    tables, origin = read_document(file)

    assert tables == expected
    assert set(_keys(tables)) <= set(origin.places)


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes("\ufeffa = 1\r\nb = 2\r\n".encode())

    tables, origin = read_document(file)

    assert tables == {"a": 1, "b": 2}
    assert origin.place(("b",)).text == f"{file}:2"


def test_bytes_that_are_no_utf_8_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"a = '\xff'")

    with pytest.raises(ConfigurationError, match="it must be UTF-8, and byte 5 is not"):
        read_document(file)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_document(tmp_path)
