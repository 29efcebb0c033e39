"""A variable of a project's own is read by the rules of settings, and told by its own name."""

from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from sereno import ConfigurationError, variable

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]


@pytest.mark.parametrize(
    ("text", "default", "declared", "found"),
    [
        ("25", 1, None, 25),
        (" 25\n", 1, Port, 25),
        ("2.5", 1.0, Seconds, 2.5),
        ("6h", timedelta(0), None, timedelta(hours=6)),
        ("a, b", (), tuple[str, ...], ("a", "b")),
        ("tls", "none", Literal["none", "tls"], "tls"),
        (" as it is ", "", None, " as it is "),
        ("", 7, None, 7),
        *((word, False, None, True) for word in ("true", "1", "yes", "ON", " on ")),
        *((word, True, None, False) for word in ("False", "0", "no", "Off")),
    ],
)
def test_what_it_says_is_of_the_declared_type(
    text: str, default: Any, declared: Any, found: Any
) -> None:
    read = variable("X", default, declared, environ={"X": text})

    assert (read, type(read)) == (found, type(found))


@pytest.mark.parametrize(
    ("text", "default", "declared", "rule"),
    [
        ("abc", 25, Port, "it must be a whole number from 1 to 65535"),
        ("0", 25, Port, "it must be a whole number from 1 to 65535"),
        ("٣", 25, None, "it must be a whole number"),
        ("flase", True, None, "it must be true or false"),
        ("nan", 1.0, None, "it must be a number"),
        ("inf", 1.0, Seconds, "it must be a number above 0"),
        ("tsl", "none", Literal["none", "tls"], "it must be one of none, tls, did you mean 'tls'?"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_rule(
    text: str, default: Any, declared: Any, rule: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        variable("MAIL_X", default, declared, environ={"MAIL_X": text})

    assert str(caught.value) == f"MAIL_X is '{text}', {rule}"


def test_of_a_secret_no_part_is_told() -> None:
    for name, text in (("API_TOKEN", "s3cr3t"), ("SHOP", "ftp://ana:s3cr3t@shop/")):
        with pytest.raises(ConfigurationError) as caught:
            variable(name, "", Annotated[str, Meta(pattern="^https:")], environ={name: text})

        assert "s3cr3t" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_the_process_s_own_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PORT", "80")

    assert variable("SHOP_PORT", 25) == 80
    assert variable("SHOP_PORT_THAT_IS_NOT_SET", 25) == 25
