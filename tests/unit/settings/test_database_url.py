"""A database's URL that does not say what it seems to is refused, and no part of it is told."""

import pytest

from sereno import ConfigurationError
from sereno.settings import load_settings

SECRET = "s3cr3t"


def refused(url: str, key: str = "SERENO_DATABASE_URL") -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file=None, environ={key: url}, flags={})
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:s3cr3t/x9@db/app",
        "postgresql://ana:x9/s3cr3t@db:5432/app",
        "postgresql://ana:123/s3cr3t@db/app",
        "postgresql://ana:s3cr3t#x9@db/app",
        "postgresql://ana:s3cr3t?x9@db/app",
        "postgresql://ana:/s3cr3t@db/app",
        "postgresql://ana:#s3cr3t@db/app",
        "postgresql://ana:?s3cr3t@db/app",
        "postgresql://ana:s3cr3t/?#x9@db/app",
        "postgresql://ana:s3cr3t@x9@db/app",
        "postgresql://ana:s3cr3t:x9@db/app",
        "postgresql://ana:s3cr3t%x9@db/app",
        "postgresql://ana:s3cr3t%@db/app",
        "postgresql://ana:s3cr3t x9@db/app",
        "postgresql://ana:s3cr3t\nx9@db/app",
        "postgresql://ana/s3cr3t:x9@db/app",
        "postgresql://ana:s3cr3t@db/app#x9",
    ],
)
@pytest.mark.parametrize("key", ["SERENO_DATABASE_URL", "SERENO_LEADER_DATABASE_URL"])
def test_a_password_that_is_not_encoded_is_told_to_be(url: str, key: str) -> None:
    sentence = refused(url, key)

    assert "/ as %2F" in sentence
    assert "database_url" in sentence
    for part in ("s3cr3t", "x9", "ana"):
        assert part not in sentence


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("postgresql://ana:s3cr3t@db:99999/app", "its port must be a number from 1 to 65535"),
        ("postgresql://ana:s3cr3t@db:0/app", "its port must be"),
        ("postgresql://ana:s3cr3t@db:-1/app", "its port must be"),
        ("postgresql://ana:s3cr3t@db:/app", "its port must be"),
        ("postgresql://ana:s3cr3t@db:54x/app", "its port must be"),
        ("postgresql://ana:s3cr3t@a:5432,b:70000/app", "its port must be"),
        ("postgresql://ana:s3cr3t@[::1]:99999/app", "its port must be"),
        ("postgresql://ana:s3cr3t@::1/app", "[::1]:5432"),
        ("postgresql://ana:s3cr3t@[::1/app", "[::1]:5432"),
        ("postgresql://ana:s3cr3t@[db]/app", "[::1]:5432"),
        ("postgresql://ana:s3cr3t@/app?port=99999", "port in its query"),
        ("postgresql://ana:s3cr3t@/app?host=a,b&port=1,x", "port in its query"),
    ],
)
def test_a_host_or_port_that_cannot_be_is_refused(url: str, rule: str) -> None:
    sentence = refused(url)

    assert rule in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://db",
        "postgresql://db/app",
        "postgresql://ana@db/app",
        "postgresql://ana:@db/app",
        "postgresql://ana:s3%2Fcr%23%3F%40%3A%25t@db:5432/app",
        "postgresql://:s3cr3t@db/app",
        "postgresql://ana:s3cr3t@a:5432,b:5433/app?target_session_attrs=any",
        "postgresql://ana:s3cr3t@a,b/app",
        "postgresql://ana:s3cr3t@[::1]:5432/app",
        "postgresql://ana:s3cr3t@[fe80::1%25eth0]/app",
        "postgresql://ana:s3cr3t@/app?host=/var/run/postgresql",
        "postgresql:///app?host=/var/run/postgresql&port=5433",
        "postgresql:///app?host=a,b&port=5432,5433",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/app",
        "postgresql://ana!$&'()*+,;=~._-x@db/app",
        "postgresql://db/app?user=ana@example&password=a@b",
        "postgresql://ñ:ñ@db/ñ",
    ],
)
def test_a_url_of_any_good_shape_is_taken_as_it_is(url: str) -> None:
    found = load_settings(file=None, environ={"SERENO_DATABASE_URL": url}, flags={})

    assert found.database_url == url
