"""Secrets come from files that a variable, or systemd, names."""

from pathlib import Path

import pytest

from sereno.model.errors import ConfigurationError
from sereno.settings import Settings, load_settings

URL = "postgresql://sereno:s%2Fecret@db.example.com/app"


def loaded(**environ: str) -> Settings:
    return load_settings(file=None, environ=environ, flags={})


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_variable_that_ends_in_file_names_the_file_of_the_value(end: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_bytes((URL + end).encode())
    settings = loaded(SERENO_DATABASE_URL_FILE=str(tmp_path / "url"))
    assert settings.database_url == URL
    assert settings.place("database_url") == "SERENO_DATABASE_URL_FILE"


def test_tables_and_plugins_take_files_too(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("abc\n")
    settings = loaded(
        SERENO_HTTP__TOKEN_FILE=str(tmp_path / "t"),
        SERENO_PLUGINS__ETL_IVR__SOURCE_URL_FILE=str(tmp_path / "t"),
    )
    assert settings.http.token == "abc"
    assert settings.plugins["etl_ivr"] == {"source_url": "abc"}


def test_systemds_credentials_bear_the_names_of_variables(tmp_path: Path) -> None:
    (tmp_path / "SERENO_DATABASE_URL").write_text(URL)
    (tmp_path / "another.programs").write_bytes(b"\xff")
    settings = loaded(CREDENTIALS_DIRECTORY=str(tmp_path))
    assert settings.database_url == URL


def test_a_variable_wins_over_a_credential(tmp_path: Path) -> None:
    (tmp_path / "SERENO_LEASE").write_text("9s")
    found = loaded(CREDENTIALS_DIRECTORY=str(tmp_path), SERENO_LEASE="3s")
    assert found.lease.total_seconds() == 3


def test_both_at_once_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    with pytest.raises(ConfigurationError, match="SERENO_DATABASE_URL are both set"):
        loaded(SERENO_DATABASE_URL_FILE=str(tmp_path / "url"), SERENO_DATABASE_URL=URL)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file"),
        (b"", "must hold one value"),
        (b"\n", "must hold one value"),
        (b"secret\0", "must hold one value"),
        (b"x" * 70_000, "must hold one value"),
        (b"\xff\xfesecret", "holds no text"),
    ],
)
def test_a_file_that_holds_no_value_is_told_without_what_it_holds(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        loaded(SERENO_HTTP__TOKEN_FILE=str(path))
    assert "SERENO_HTTP__TOKEN_FILE" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_folder_and_a_directory_that_is_gone_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        loaded(SERENO_HTTP__TOKEN_FILE=str(tmp_path))
    with pytest.raises(ConfigurationError, match="CREDENTIALS_DIRECTORY"):
        loaded(CREDENTIALS_DIRECTORY=str(tmp_path / "gone"))


def test_an_empty_variable_counts_as_not_set() -> None:
    assert loaded(SERENO_DATABASE_URL_FILE="", CREDENTIALS_DIRECTORY="").http.token is None
