from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno.settings import Settings, hidden, load_settings, redact

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ana:s3cr3t@db:5432/app", "postgresql://ana:***@db:5432/app"),
        ("postgresql://:s3cr3t@db/app", "postgresql://:***@db/app"),
        ("to postgresql://a:s3cr3t@b/c failed", "to postgresql://a:***@b/c failed"),
        ("mysql+pymysql://a:s3cr3t/x?y#z@b/c", "mysql+pymysql://a:***@b/c"),
        ("redis://a:s3cr3t@x@b", "redis://a:***@b"),
        ("host=db password=s3cr3t user=a", "host=db password=*** user=a"),
        ("host=db password='s3cr3t x' user=a", "host=db password=*** user=a"),
        ("postgresql://db/app?user=a&password=s3cr3t", "postgresql://db/app?user=a&password=***"),
        ("{'password': 's3cr3t', 'user': 'a'}", "{'password': ***, 'user': 'a'}"),
        ('{"api_key":"s3cr3t"}', '{"api_key":***}'),
        ("Authorization: Bearer s3cr3t.x-y", "Authorization: Bearer ***"),
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "embedded",
        "postgresql://ana@db/app",
        "http://127.0.0.1:8765/health?mail=ana@example.com",
        "unexpected token: '}'"[:18],
        "ana@example.com",
        "at 12:30 ana@example.com wrote",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(
    before=st.text(max_size=20),
    password=st.text(
        st.characters(exclude_characters="'\"", exclude_categories=("Z", "C")), min_size=8
    ).filter(lambda p: not p.isascii() or p[:5].strip("0123456789") != ""),
    after=st.text(max_size=20),
)
def test_no_password_of_a_url_is_ever_left(before: str, password: str, after: str) -> None:
    shown = redact(f"{before} postgresql://ana:{password}@db/app {after}")

    assert f":{password}@" not in shown


def test_tables_are_hidden_key_by_key() -> None:
    table = {"smtp": {"password": SECRET, "host": "mail"}, "token": SECRET, "urls": ["x://a:p@b"]}

    assert hidden("", table) == {
        "smtp": {"password": "***", "host": "mail"},
        "token": "***",
        "urls": ["x://a:***@b"],
    }


def test_settings_never_show_a_password() -> None:
    settings = load_settings(
        file=None,
        environ={
            "SERENO_DATABASE_URL": f"postgresql://a:{SECRET}@b/c",
            "SERENO_LEADER_DATABASE_URL": f"postgres://a:{SECRET}@b/c",
            "SERENO_PLUGINS__ETL__SOURCE": f"mysql://a:{SECRET}@b/c",
            "SERENO_PLUGINS__ETL__API_TOKEN": SECRET,
            "SERENO_HTTP__TOKEN": SECRET,
        },
        flags={},
    )

    assert settings.database_url.count(SECRET) == 1
    for shown in (repr(settings), str(settings), f"{settings}", str(settings.__rich_repr__())):
        assert SECRET not in shown
        assert "postgresql://a:***@b/c" in shown


def test_an_error_never_shows_a_password(tmp_path: Path) -> None:
    bad = load_error(f"mssql://a:{SECRET}@b/c")

    assert "database_url is 'mssql://a:***@b/c'" in bad
    assert SECRET not in bad


def load_error(url: str) -> str:
    try:
        load_settings(file=None, environ={"SERENO_DATABASE_URL": url}, flags={})
    except Exception as error:
        return str(error)
    raise AssertionError("it was accepted")


def test_settings_can_be_made_by_hand() -> None:
    settings = Settings(database_url="postgresql://db/app")

    assert settings.http.enabled
    assert settings.data_dir is None
