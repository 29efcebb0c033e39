"""What SERENO, DATABASES and TIME_ZONE say becomes settings of the kernel's."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sereno import ConfigurationError, check_database_url
from sereno.settings import load_settings
from sereno_django.database import database_entry, database_url
from sereno_django.environment import lay_under, variables

PG = "django.db.backends.postgresql"
ONE = {"default": {"ENGINE": PG, "NAME": "shop", "HOST": "db", "USER": "web"}}


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ({"NAME": "shop"}, "postgresql:///shop"),
        ({"NAME": "shop", "HOST": "db", "PORT": 6432}, "postgresql://db:6432/shop"),
        ({"NAME": "shop", "HOST": "::1", "PORT": ""}, "postgresql://[::1]/shop"),
        (
            {"NAME": "shop", "HOST": "a,b", "PORT": "5432,5433"},
            "postgresql://a:5432,b:5433/shop",
        ),
        ({"NAME": "shop", "HOST": "a,b", "PORT": "6"}, "postgresql://a:6,b:6/shop"),
        (
            {"NAME": "t/ñ", "USER": "w:b", "PASSWORD": "/?#@:%é ", "HOST": "db"},
            "postgresql://w%3Ab:%2F%3F%23%40%3A%25%C3%A9%20@db/t%2F%C3%B1",
        ),
        (
            {"NAME": "shop", "HOST": "/run/pg", "PORT": 5433, "USER": "web"},
            "postgresql://web@/shop?host=%2Frun%2Fpg&port=5433",
        ),
        (
            {"NAME": "shop", "HOST": "db", "OPTIONS": {"sslmode": "verify-full", "pool": True}},
            "postgresql://db/shop?sslmode=verify-full",
        ),
        (
            {"OPTIONS": {"service": "shop", "passfile": ".pg"}},
            "postgresql://?service=shop&passfile=.pg",
        ),
    ],
)
def test_an_entry_becomes_a_url(entry: dict[str, Any], url: str) -> None:
    found = database_url("default", {"ENGINE": PG, **entry})
    assert found == url
    assert check_database_url(found) == found
    again = database_entry(found)
    assert database_url("default", again) == found, "and back"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}, "works in PostgreSQL alone"),
        ({"ENGINE": PG, "NAME": ""}, "it has no NAME"),
        ({"ENGINE": PG, "NAME": "x", "OPTIONS": {"sslmood": "a"}}, "OPTIONS has 'sslmood'"),
    ],
)
def test_an_entry_that_cannot_be_one_is_refused(entry: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        database_url("default", entry)


async def test_a_service_file_leads_to_the_database(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _, name = database.removeprefix("postgresql://postgres@").partition("/")
    place, _, port = host.partition(":")
    (tmp_path / "services").write_text(
        f"[shop]\nhost={place}\nport={port}\ndbname={name}\nuser=postgres\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    url = database_url("default", {"ENGINE": PG, "OPTIONS": {"service": "shop"}})
    connection = await asyncpg.connect(url)
    found = await connection.fetchval("SELECT current_database()")
    await connection.close()
    assert found == name


def read(project: dict[str, Any], **environ: str) -> Any:
    lay_under(environ, variables(project, ONE, "America/Bogota"))
    return load_settings(file=None, environ=environ, flags={})


def test_the_project_is_read_as_a_settings_file_would_be() -> None:
    found = read(
        {
            "HTTP": {"PORT": 9100, "ENABLED": False},
            "lease": "3s",
            "MODULES": ["shop.jobs"],
            "JOBS": {"shop.Mail": {"timeout": "5m", "retry": {"attempts": 4, "delay": "60s"}}},
            "PLUGINS": {"sun": {}},
        }
    )
    assert (found.database_url, found.timezone) == ("postgresql://web@db/shop", "America/Bogota")
    assert (found.http.port, found.http.enabled, found.modules) == (9100, False, ("shop.jobs",))
    policies = found.jobs["shop.mail"].policies
    assert policies["retry"].attempts == 4
    assert policies["timeout"].total_seconds() == 300


def test_the_environment_wins() -> None:
    found = read({"timezone": "UTC", "lease": "3s"}, SERENO_LEASE="4s")
    assert (found.lease.total_seconds(), found.timezone) == (4, "UTC")


def test_another_database_and_one_past_the_pooler_are_named_by_alias() -> None:
    both = {**ONE, "direct": {**ONE["default"], "HOST": "past-the-pooler"}}
    found = variables({"LEADER_DATABASE": "direct"}, both, "UTC")
    assert found["SERENO_LEADER_DATABASE_URL"] == "postgresql://web@past-the-pooler/shop"
    with pytest.raises(ConfigurationError, match=r"SERENO\['DATABASE'\] is 'gone'"):
        variables({"DATABASE": "gone"}, both, "UTC")
