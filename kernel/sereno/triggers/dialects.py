"""What other schedulers write, said in words of ours.

Asked only about a text that could not be read: it decides no meaning, only which remedy stands in
the error. Crontabs, Go's and Kubernetes's cron, Quartz, Amazon's, systemd's OnCalendar, Celery,
APScheduler, iCalendar, and plain English.
"""

import re
from itertools import takewhile

from sereno.triggers.expression import DAYS, is_field

_MAX_READ = 300
_UNITS = {
    "s": r"s|secs?|seconds?",
    "m": r"min|mins|minutes?|m",
    "h": r"h|hrs?|hours?",
    "d": r"d|days?",
    "w": r"w|weeks?",
}
_PLURAL = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SHORTHANDS = {
    "minutely": "* * * * *",
    "hourly": "@hourly",
    "daily": "@daily",
    "midnight": "@midnight",
    "weekly": "@weekly",
    "monthly": "@monthly",
    "yearly": "@yearly",
    "annually": "@yearly",
    "quarterly": "0 0 1 1,4,7,10 *",
    "semiannually": "0 0 1 1,7 *",
}
_ORDER = "minute, hour, day of month, month, day of week, as in '0 8 * * MON-FRI'"
_KINDS: tuple[tuple[str, str], ...] = (
    (
        r"(?:cron_)?tz\s*=\s*[\"']?:?([^\s\"']+)[\"']?\s+(\S.*)",
        (
            "the zone stands behind the expression, not before it; write '{2} {1}', in Python "
            "cron('{2}', tz='{1}')"
        ),
    ),
    (r"#.*", "it is a comment; write the trigger alone"),
    (r"(\S.*?)\s+#.*", "what follows '#' is a comment, which a trigger cannot have; write '{1}'"),
    (r".*\n.*", "it has several lines; join triggers with any_of, as in 'any_of (@daily) (6h)'"),
    (r"@every\s+(\S+)", "'@every' is written 'every {1}' here, in Python every('{1}')"),
    (
        r"@reboot\b.*",
        (
            "the start of a machine is no instant of a clock; work for each start of a replica "
            "belongs into the plugin's sereno_lifespan, and a schedule names times, as in '@hourly'"
        ),
    ),
    (
        r"(?:cron\s*)?\(\s*(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+\S+\s*\)",
        (
            "'cron(...)' is Amazon's form, with a year at the end and 1 for Sunday; write five "
            f"fields without parentheses, {_ORDER}"
        ),
    ),
    (
        r"(?:cron\s*)?\(\s*[\"']?(\S+(?:\s+[^\s)\"']+){4})[\"']?\s*\)",
        "the expression stands without parentheses; write 'cron {1}'",
    ),
    (r"rrule\b.*|freq=.*", f"it is a rule of iCalendar; write five fields of cron, {_ORDER}"),
    (
        r"\d{4}-\d\d-\d\d(?:[t ]\d\S*)?",
        (
            "it is one instant; write 'once 2026-03-01T08:00:00Z' or 'once 2026-03-01T08:00 "
            "Europe/Madrid'"
        ),
    ),
    (
        r"oncalendar\s*=.*|.*(?:\*-|\.\.|\*:|-\*).*",
        f"it is in systemd's form of OnCalendar; write five fields of cron, {_ORDER}",
    ),
    (
        (
            r"at\s+.*|(?:every\s+)?(?:day|weekday|morning|night|month|mon|tue|wed|thu|fri|sat|sun)"
            r"[a-z]*\b.*|\d\d?:\d\d(?::\d\d)?(?:\s.*)?"
        ),
        f"times of day are written as cron has them: {_ORDER}",
    ),
)
_READ = tuple((re.compile(pattern, re.I | re.S), sentence) for pattern, sentence in _KINDS)
_QUOTED = re.compile(r"([\"'`])(.*)\1", re.S)
_ISO = re.compile(r"(?:every\s+)?P(\d+D)?(?:T(\d+H)?(\d+M)?(\d+S)?)?", re.I)
_KEYWORDS = re.compile(
    r"\b(second|minute|hour|day|day_of_month|month|month_of_year|week|day_of_week|year|"
    r"seconds|minutes|hours|days|weeks)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s,()]+)"
)
_OPTION = re.compile(r"(tz|gap|fold)=")
_ROWS = (
    ("minute",),
    ("hour",),
    ("day", "day_of_month"),
    ("month", "month_of_year"),
    ("day_of_week",),
)


def remedy(text: str) -> str | None:
    """Return what is wrong with `text`, and what to write, where it is another scheduler's."""
    plain = re.sub(r"^cron(?:\s+|:\s*)(?=[^\s(,])", "", text[:_MAX_READ].strip(), flags=re.I)
    if quoted := _QUOTED.fullmatch(plain):
        return f"the quotes are a part of it; write {quoted[2].strip()} without them"
    if plain.lower() in _SHORTHANDS:
        return f"write '{_SHORTHANDS[plain.lower()]}'"
    for told in (_by_keywords(plain), _spelled_out(plain), _with_more(plain)):
        if told:
            return told
    for pattern, sentence in _READ:
        if match := pattern.fullmatch(plain):
            return sentence.format(plain, *(group or "" for group in match.groups()))
    return None


def _by_keywords(text: str) -> str | None:
    """Read Celery's ``crontab(hour=8)`` and APScheduler's ``CronTrigger(hour=8)``."""
    found = {name: value.strip("\"'") for name, value in _KEYWORDS.findall(text)}
    span = "".join(f"{found[word]}{unit}" for unit, word in _PLURAL.items() if word in found)
    if span:
        return f"an interval is written 'every {span}', in Python every('{span}')"
    celery = re.search(r"\bcrontab\s*\(", text, re.I) is not None
    if not found and not celery:
        return (
            ""
            if not re.match(r"(cron|interval|date)trigger\b", text, re.I)
            else (f"it is APScheduler's form; write five fields of cron, {_ORDER}, or 'every 6h'")
        )
    form = "Celery's" if celery else "APScheduler's"
    if {"second", "week", "year"} & found.keys():
        return f"it is {form} form; write five fields of cron, {_ORDER}"
    given = [next((found[n] for n in names if n in found), "") for names in _ROWS]
    if not celery:
        given = _as_apscheduler(given)
    fields = " ".join(value.replace(" ", "") or "*" for value in given)
    return f"it is {form} form; the same in the order of cron is '{fields}'"


def _as_apscheduler(given: list[str]) -> list[str]:
    """Fill what is finer than the coarsest field that is named, and name days: its 0 is Monday."""
    fixed = ["0", "0", "1", "1", ""]
    named = [at for at, value in enumerate(given) if value]
    coarsest_under = {4: 2}.get(named[-1], named[-1]) if named else 0
    filled = [value or (fixed[at] if at < coarsest_under else "") for at, value in enumerate(given)]
    days = (*DAYS[1:], DAYS[0])
    filled[4] = re.sub(r"(?<!\d)[0-6](?!\d)", lambda m: days[int(m[0])].upper(), filled[4])
    return filled


def _spelled_out(text: str) -> str | None:
    """Read ``5 minutes``, ``rate(5 minutes)``, ``every hour``, ``PT5M``."""
    if (iso := _ISO.fullmatch(text)) and any(iso.groups()):
        parts = "".join(part.lower() for part in iso.groups() if part)
        return f"write 'every {parts}', in Python every('{parts}')"
    if re.fullmatch(r"\d{1,9}", text):
        return f"a number needs its unit, as in 'every {text}s'"
    match = re.fullmatch(r"(?:rate\s*\(|every\s+|interval\s+)?(\d+)?\s*([a-z]+)\s*\)?", text, re.I)
    if match is None or not (match[1] or text.lower().startswith(("every", "rate", "interval"))):
        return None
    for unit, words in _UNITS.items():
        if re.fullmatch(words, match[2], re.I):
            span = f"{match[1] or 1}{unit}"
            if text == f"every {span}":  # said as it is to be: what is wrong is something else
                return None
            return f"write 'every {span}', in Python every('{span}')"
    return None


def _with_more(text: str) -> str | None:
    """Read a line of a crontab with its command, and fields with a year behind them."""
    words = [word for word in text.split() if not _OPTION.match(word)]
    count = 1 if text.startswith("@") else sum(1 for _ in takewhile(is_field, words))
    if count == 1 if text.startswith("@") else count >= 5:
        return _command(words, 1 if text.startswith("@") else 5, count)
    return None


def _command(words: list[str], least: int, count: int) -> str | None:
    rest = words[count:]
    if rest and rest[0].startswith("#"):
        return None
    if not rest:
        return _year(words, count)
    if len(rest) == 1 and ("zoneinfo/" in rest[0] or not re.match(r"[./~]|.*\.\w{1,4}$", rest[0])):
        return None  # a zone, rightly written or not
    first = " ".join(words[:least])
    return (
        f"behind '{first}' stands what looks like a command; a schedule says only when, and what "
        f"runs is the job's function; write '{first}', and the zone where it is not UTC"
    )


def _year(words: list[str], count: int) -> str | None:
    if count != 7 and not (count == 6 and re.match(r"(19|20)\d\d\b", words[5])):
        return None
    days = "; there 1 is Sunday, here 0 and 7 are: name days, as MON-FRI" if count == 7 else ""
    return (
        f"its last field is a year, which cron does not have; write "
        f"'{' '.join(words[: count - 1])}' and bound it by the schedule's start and end{days}"
    )
