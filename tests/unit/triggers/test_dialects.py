"""What people paste from other schedulers, and what the error tells them to write."""

import re

import pytest

from sereno import TriggerError, cron, parse
from sereno.triggers.dialects import remedy

_PASTED = [
    ("0 8 * * 1-5 # weekdays", "what follows '#' is a comment", "0 8 * * 1-5"),
    ("0 8 * * 5#2 # second Friday", "is a comment", "0 8 * * 5#2"),
    ("TZ=Europe/Madrid 0 8 * * *", "the zone stands behind", "0 8 * * * Europe/Madrid"),
    ("CRON_TZ=Asia/Tokyo @daily", "the zone stands behind", "@daily Asia/Tokyo"),
    ("cron TZ=':Asia/Tokyo' 0 8 * * *", "the zone stands behind", "0 8 * * * Asia/Tokyo"),
    ("@every 5m", "'@every' is written", "every 5m"),
    ("@every 1h30m", "'@every' is written", "every 1h30m"),
    ("0 8 * * * /usr/bin/backup", "what looks like a command", "0 8 * * *"),
    ("0 8 * * * root /usr/bin/backup --all", "what looks like a command", "0 8 * * *"),
    ("*/5 * * * * (cd /srv && ./x.sh) >>log 2>&1", "what looks like a command", "*/5 * * * *"),
    ("0 8 * * * backup.sh", "what looks like a command", "0 8 * * *"),
    ("@hourly ~/bin/x", "what looks like a command", "@hourly"),
    ("0 0 12 * * ? 2026", "its last field is a year", "0 0 12 * * ?"),
    ("0 0 12 ? * MON-FRI *", "its last field is a year", "0 0 12 ? * MON-FRI"),
    ("0 8 1 1 * 2027", "its last field is a year", "0 8 1 1 *"),
    ("daily", "write", "@daily"),
    ("quarterly", "write", "0 0 1 1,4,7,10 *"),
    ("Mon..Fri *-*-* 08:00:00", "systemd's form", "0 8 * * MON-FRI"),
    ("*-*-* 04:00", "systemd's form", "0 8 * * MON-FRI"),
    ("OnCalendar=daily", "systemd's form", "0 8 * * MON-FRI"),
    ("*:0/15", "systemd's form", "0 8 * * MON-FRI"),
    ("crontab(minute=0, hour=8)", "Celery's form", "0 8 * * *"),
    ("crontab(hour='*/3', minute=0, day_of_week='mon,fri')", "Celery's form", "0 */3 * * mon,fri"),
    ("crontab()", "Celery's form", "* * * * *"),
    ("CronTrigger(hour=8)", "APScheduler's form", "0 8 * * *"),
    ("CronTrigger(day=1)", "APScheduler's form", "0 0 1 * *"),
    ("cron, day_of_week='0-4', hour=8", "APScheduler's form", "0 8 * * MON-FRI"),
    ("CronTrigger(day_of_week='sun')", "APScheduler's form", "0 0 * * sun"),
    ("CronTrigger(year=2027)", "APScheduler's form", "0 8 * * MON-FRI"),
    ("IntervalTrigger(hours=2, minutes=5)", "an interval is written", "every 2h5m"),
    ("timedelta(minutes=5)", "an interval is written", "every 5m"),
    ("cron(0 8 * * ? *)", "Amazon's form", "0 8 * * MON-FRI"),
    ("rate(5 minutes)", "write", "every 5m"),
    ("'0 8 * * *'", "the quotes are a part of it", None),
    ("`@daily`", "the quotes are a part of it", None),
    ("every 5 minutes", "write", "every 5m"),
    ("every hour", "write", "every 1h"),
    ("PT1H30M", "write", "every 1h30m"),
    ("300", "a number needs its unit", "every 300s"),
    ("every monday at 8", "times of day are written as cron", "0 8 * * MON-FRI"),
    ("at 08:00", "times of day are written as cron", "0 8 * * MON-FRI"),
    ("08:00", "times of day are written as cron", "0 8 * * MON-FRI"),
    ("2026-03-01T08:00", "it is one instant", "once 2026-03-01T08:00:00Z"),
    ("RRULE:FREQ=DAILY;BYHOUR=8", "a rule of iCalendar", "0 8 * * MON-FRI"),
    ("0 8 * * *\n0 9 * * *", "it has several lines", "any_of (@daily) (6h)"),
    ("cron (0 8 * * *)", "without parentheses", "cron 0 8 * * *"),
    ("# nightly", "it is a comment", None),
    ("@reboot", "the start of a machine is no instant", "@hourly"),
]


@pytest.mark.parametrize(("text", "wrong", "write"), _PASTED)
def test_what_is_pasted_from_elsewhere_is_refused_with_what_to_write(
    text: str, wrong: str, write: str | None
) -> None:
    with pytest.raises(TriggerError, match=re.escape(wrong)) as caught:
        parse(text)

    assert len(str(caught.value)) < 400
    if write is not None:
        assert f"'{write}'" in str(caught.value)
        parse(write)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0 25 * * * Europe/Madrid", "the zone is no part of the expression; write cron"),
        ("TZ=Europe/Madrid 0 8 * * *", "in Python cron('0 8 * * *', tz='Europe/Madrid')"),
        ("@daily /usr/bin/x", "what looks like a command"),
        ("6h", "in Python every('6h')"),
    ],
)
def test_the_same_holds_in_python(text: str, sentence: str) -> None:
    with pytest.raises(TriggerError, match=re.escape(sentence)):
        cron(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0 25 * * * Europe/Madrid", "the hour cannot be '25'"),
        ("0 8 * * * Europe/Madird", "did you mean 'Europe/Madrid'"),
        ("0 8 * * * Madrid", "did you mean 'Europe/Madrid'"),
        ("0 8 * * 9", "the day of week cannot be '9'"),
        ("evry 6h", "did you mean 'every'"),
        ("every 6h ancor=2026-01-01T00:00Z", "did you mean 'anchor'"),
        ("@dayly", "the macros are @yearly"),
    ],
)
def test_a_slip_of_the_pen_is_still_told_as_what_it_is(text: str, sentence: str) -> None:
    with pytest.raises(TriggerError, match=re.escape(sentence)):
        parse(text)


@pytest.mark.parametrize(
    "text", ["a" * 65_000, "* " * 30_000, "(" * 60_000, "-L" * 30_000, "'" * 9]
)
def test_a_remedy_looks_at_the_beginning_of_a_text_alone(text: str) -> None:
    assert len(remedy(text) or "") < 700
