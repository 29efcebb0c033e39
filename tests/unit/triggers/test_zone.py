"""Which names of time zones are taken: those that mean the same on every machine."""

from pathlib import Path
from zoneinfo import available_timezones, reset_tzpath

import pytest
import tzdata

from sereno import TriggerError, cron, find_zone, parse, within
from sereno.model.zone import iana_names

_OWN = {"localtime", "posixrules", "Factory"}


@pytest.mark.parametrize(
    ("zone", "sentence"),
    [
        ("Europe/Madird", "there is no such zone, did you mean 'Europe/Madrid'"),
        ("europe/madrid", "did you mean 'Europe/Madrid'"),
        ("EUROPE/MADRID", "did you mean 'Europe/Madrid'"),
        ("utc", "did you mean 'UTC'"),
        ("new york", "did you mean 'America/New_York'"),
        ("Mars/Olympus_Mons", "there is no such zone; use an IANA name"),
        ("../../etc/passwd", "there is no such zone"),
        ("Europe/../Europe/Madrid", "there is no such zone"),
        ("Europe//Madrid", "did you mean 'Europe/Madrid'"),
        ("Europe", "there is no such zone"),
        ("", "there is no such zone"),
        ("Europe/Madrid\0", "there is no such zone"),
        ("/etc/localtime", "it is another zone on each machine; use an IANA name"),
        ("localtime", "it is another zone on each machine"),
        ("local", "it is another zone on each machine"),
        ("posixrules", "it is another zone on each machine"),
        ("Factory", "it stands for a machine whose zone nobody has set"),
        ("posix/Europe/Madrid", "did you mean 'Europe/Madrid'"),
        ("right/Europe/Madrid", "did you mean 'Europe/Madrid'"),
        ("posix/localtime", "it is another zone on each machine"),
        (":Europe/Madrid", "did you mean 'Europe/Madrid'"),
        ("/usr/share/zoneinfo/Europe/Madrid", "did you mean 'Europe/Madrid'"),
        ("zone.tab", "there is no such zone"),
        ("leapseconds", "there is no such zone"),
        ("UTC+2", "an offset is no zone, .* or 'Etc/GMT-2', which never changes"),
        ("-05:00", "an offset is no zone, .* or 'Etc/GMT\\+5', which never changes"),
        ("+05:30", "there is no such zone"),
        ("CEST", "an abbreviation is no zone, for several share it"),
        ("x" * 100_000, "there is no such zone"),
    ],
)
def test_what_is_no_iana_name_is_refused_with_a_suggestion(zone: str, sentence: str) -> None:
    with pytest.raises(TriggerError, match=sentence) as caught:
        cron("0 8 * * *", zone)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", sorted(_OWN))
def test_a_machines_own_zone_is_refused_wherever_a_zone_is_named(name: str) -> None:
    for text in (
        f"cron 0 8 * * * {name}",
        f"once 2026-03-01T08:00 {name}",
        f"except_on (6h) 2026-12-25 tz={name}",
        f"@daily tz={name}",
    ):
        with pytest.raises(TriggerError, match=f"time zone '{name}'"):
            parse(text)
    with pytest.raises(TriggerError, match=f"time zone '{name}'"):
        within(parse("6h"), start="2026-03-01", tz=name)


def test_every_zone_of_the_iana_database_is_taken_by_its_name_alone() -> None:
    assert len(iana_names()) > 500
    assert all(find_zone(name).key == name for name in iana_names())
    assert available_timezones() - iana_names() <= _OWN


def test_a_file_that_somebody_put_beside_the_zones_is_no_zone(tmp_path: Path) -> None:
    rules = find_zone_file("Europe/Madrid").read_bytes()
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Office").write_bytes(rules)
    (tmp_path / "Headquarters").write_bytes(rules)
    reset_tzpath([str(tmp_path)])
    try:
        for name in ("Headquarters", "Europe/Office"):
            with pytest.raises(TriggerError, match="there is no such zone"):
                find_zone(name)
    finally:
        reset_tzpath()


def test_a_zone_that_only_the_systems_newer_database_lists_is_taken(tmp_path: Path) -> None:
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Atlantis").write_bytes(find_zone_file("Europe/Madrid").read_bytes())
    listed = "# version 2050a\nZ Europe/Madrid -0:14:44 - LMT\nL Europe/Madrid Europe/Atlantis\n"
    (tmp_path / "tzdata.zi").write_text(listed)
    reset_tzpath([str(tmp_path)])
    iana_names.cache_clear()
    find_zone.cache_clear()
    try:
        assert find_zone("Europe/Atlantis").key == "Europe/Atlantis"
    finally:
        reset_tzpath()
        iana_names.cache_clear()
        find_zone.cache_clear()


def find_zone_file(name: str) -> Path:
    return Path(tzdata.__file__).parent / "zoneinfo" / name
