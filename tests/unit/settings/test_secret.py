from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno.settings import Settings, hidden, is_secret, load_settings, redact

SECRET = "s3cr3t"
KEY = "PRIVATE KEY-----"


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
        ("Authorization: Basic czNjcjN0", "Authorization: Basic ***"),
        ('Authorization: Digest username="a", response="s3cr3t"', "Authorization: ***"),
        ("Password: s3cr3t", "Password: ***"),
        ("password: s3cr3t, user: a", "password: ***, user: a"),
        ("db_password=s3cr3t;", "db_password=***;"),
        ("PGPASSWORD=s3cr3t psql", "PGPASSWORD=*** psql"),
        ("accessToken: s3cr3t", "accessToken: ***"),
        ("X-Auth-Token: s3cr3t", "X-Auth-Token: ***"),
        ("{'pin': 1234, 'a': 1}", "{'pin': ***, 'a': 1}"),
        ("{'password': b's3cr3t'}", "{'password': ***}"),
        ('{\\"password\\": \\"s3cr3t\\"}', '{\\"password\\": ***}'),
        ('{"a": "x\\"y", "pwd": "s3c\\"r3t", "b": 1}', '{"a": "x\\"y", "pwd": ***, "b": 1}'),
        ('password="s3cr3t that was cut', "password=***"),
        ("secrets: ['s3cr3t', 's3cr3t']", "secrets: ***"),
        ("https://s3cr3t@github.com/a.git", "https://***@github.com/a.git"),
        ("https://hooks.slack.com/services/T0/B0/s3cr3t", "https://hooks.slack.com/***"),
        ("(https://discord.com/api/webhooks/1/s3cr3t)", "(https://discord.com/api/webhooks/***)"),
        ("https://a.webhook.office.com/webhookb2/s3cr3t/x", "https://a.webhook.office.com/***"),
        ("https://api.telegram.org/bot1:s3cr3t/send", "https://api.telegram.org/bot***"),
        ("http://db:80/a@b http://a:s3cr3t@b", "http://db:80/a@b http://a:***@b"),
        ("postgresql://a:12345/s3cr3t@b/c", "postgresql://a:***@b/c"),
        (
            f"-----BEGIN {KEY}\ns3cr3t\n-----END {KEY}",
            f"-----BEGIN {KEY}***-----END {KEY}",
        ),
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
        "tokenizer: bert, author: Ana, pinned: yes, passenger=3, keyboard: es, compass: N",
        "InvalidToken: Not enough segments",
        "max_tokens=5, tokens: 7, password=None, token_type=bearer",
        "std::token::x",
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


NAMES = (  # noqa: SIM905
    "pwd pass passwd password passphrase pin auth authorization credential credentials token "
    "api_key apikey secret secret_key private_key db_password accessToken SMTP_PASS userPin "
    "X-Auth Authorization clientSecret password2 dbpassword password_hash auth_header APIKey"
).split()
OTHERS = (  # noqa: SIM905
    "tokenizer author pinned passenger keyboard authority compass key monkey spin secretary "
    "password_file token_type max_tokens tokenized opinion passport bypass auth_url"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_tells_that_its_value_is_secret(name: str) -> None:
    assert is_secret(name)
    for value in (SECRET, 1234, [SECRET], {"user": SECRET}, (SECRET,), {SECRET}):
        assert SECRET not in str(hidden("", {name: value}))
        assert "1234" not in str(hidden("", {name: value}))
    assert SECRET not in redact(f"with {name}={SECRET} and {name}: {SECRET}, '{name}': '{SECRET}'")


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_that_only_looks_so_hides_nothing(name: str) -> None:
    assert hidden("", {name: "word"}) == {name: "word"}
    assert redact(f"{name}=word, {name}: word") == f"{name}=word, {name}: word"


class Login(msgspec.Struct):
    user: str
    password: str


@dataclass
class Place:
    login: Login
    token: int = 1


def test_what_stands_in_a_struct_is_hidden_too() -> None:
    shown = hidden("place", Place(Login("ana", SECRET)))

    assert shown == {"login": {"user": "ana", "password": "***"}, "token": "***"}


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
