"""Which cron expressions are read, and how croniter must be told to read them as cron does.

croniter 7 takes ``a-a`` for the whole field, draws ``R`` at random at every parse, counts a stepped
range that wraps in the wrong phase, drops days when ``#``, ``W`` or ``nL`` meets the other day
field, and spells the last Friday ``L5``. Here each is translated or refused.
"""

import re

from croniter import croniter

from sereno.model.errors import TriggerError

MAX_LENGTH = 512
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day of month": "1-31, L, or 15W",
    "month": "1-12 or JAN-DEC",
    "day of week": "0-7 or SUN-SAT, 5#2, or 5L",
}
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL_NAMES = {
    "sunday": "sun",
    "monday": "mon",
    "tuesday": "tue",
    "wednesday": "wed",
    "thursday": "thu",
    "friday": "fri",
    "saturday": "sat",
    "january": "jan",
    "february": "feb",
    "march": "mar",
    "april": "apr",
    "june": "jun",
    "july": "jul",
    "august": "aug",
    "september": "sep",
    "october": "oct",
    "november": "nov",
    "december": "dec",
    "tues": "tue",
    "thur": "thu",
    "thurs": "thu",
    "sept": "sep",
}
"""Written short in a trigger's text, which replicas of older versions read too."""
_FULL_NAME = re.compile(rf"(?<![a-z])(?:{'|'.join(_FULL_NAMES)})(?=l?(?![a-z]))", re.IGNORECASE)
_STEPPED_RANGE = re.compile(r"(?<![\w-])(\d{1,9})-(\d{1,9})/")
_RANGE_OF_ONE = re.compile(r"(?<![\w-])(\d+)-\1(?![\w-])(/0*[1-9]\d*)?")


def canonical(expression: str) -> str:
    """Return `expression` in capitals with single blanks, its length and count of fields checked.

    Macros stay, in small letters; names of days and months are shortened to three letters.
    """
    if not isinstance(expression, str):
        raise TriggerError(
            f"cron expression {expression!r:.60}: it must be text, as in '0 8 * * *'"
        )
    if len(expression) > MAX_LENGTH:
        raise TriggerError(
            f"cron expression '{expression[:40]}…': it has {len(expression)} characters, the limit "
            f"is {MAX_LENGTH}; join several expressions with any_of"
        )
    if not expression.isascii():
        odd = next(character for character in expression if not character.isascii())
        raise _refused(expression, f"only ASCII characters are allowed, and {odd!r} is none")
    fields = expression.split()
    if len(fields) == 1 and fields[0].startswith("@"):
        if fields[0].lower() not in MACROS:
            raise _refused(expression, f"the macros are {' '.join(MACROS)}")
        return fields[0].lower()
    if len(fields) not in (5, 6):
        raise _refused(
            expression,
            f"it has {len(fields)} fields, it must have 5 (minute, hour, day of month, month, day "
            "of week), or 6 with the second first",
        )
    fields[-2:] = (_FULL_NAME.sub(_shortened, field) for field in fields[-2:])
    return " ".join(fields).upper()


def is_field(word: str) -> bool:
    """Say whether `word` may be a field of an expression, and not a zone or a command."""
    if not re.search(r"[\w*?]", word):
        return False
    pieces = re.split(r"[/,#-]", _FULL_NAME.sub(_shortened, word.lower()))
    return all(piece.strip("0123456789*?lw") in ("", *DAYS, *MONTHS) for piece in pieces)


def for_croniter(expression: str) -> list[str]:
    """Return the fields of a canonical `expression` as croniter reads them rightly.

    Seconds come first when there are six. Raises TriggerError on what croniter would misread.
    """
    written = MACROS.get(expression, expression).split()
    fields = [field.lower() for field in written]
    fields[-2] = _named(fields[-2], MONTHS, 1)
    fields[-1] = re.sub(r"(?<![\w-])7-(?=[0-6])", "0-", _named(fields[-1], DAYS, 0))
    for at, field in enumerate(fields):
        if re.search(r"(^|,)[hr](\(|/|,|$)", field):
            raise _refused(expression, f"{written[at]!r} is random; use jitter to spread slots")
        if any(int(low) > int(high) for low, high in _STEPPED_RANGE.findall(field)):
            reason = f"{written[at]!r} has a range that wraps with a step; list its values"
            raise _refused(expression, reason)
        field = re.sub(r"(?<!\w)0+(?=\d)", "", field)
        fields[at] = _RANGE_OF_ONE.sub(r"\1", field)
    fields[-1] = re.sub(r"(?<!\w)([0-7])l(?!\w)", r"l\1", fields[-1])
    month_days, week_days = fields[-3], fields[-1]
    special = "w" in month_days or re.search(r"#|l\d", week_days)
    if special and month_days[0] not in "*?" and week_days[0] not in "*?":
        raise _refused(
            expression,
            "'#', 'W' and 'nL' cannot be joined with the other day field; put * there, and join "
            "two expressions with any_of",
        )
    _try(expression, written, fields)
    return fields


def _try(expression: str, written: list[str], fields: list[str]) -> None:
    if croniter.is_valid(" ".join(fields), second_at_beginning=True):
        return
    names = list(FIELDS)[-len(fields) :]
    for at, (name, field) in enumerate(zip(names, fields, strict=True)):
        alone = ["*"] * len(fields)
        alone[at] = field
        if not croniter.is_valid(" ".join(alone), second_at_beginning=True):
            reason = f"the {name} cannot be {written[at]!r:.40}; it is {FIELDS[name]}"
            raise _refused(expression, reason)
    raise _refused(expression, "its fields cannot be joined in this way")


def _shortened(word: re.Match[str]) -> str:
    return _FULL_NAMES[word[0].lower()]


def _refused(expression: str, reason: str) -> TriggerError:
    return TriggerError(f"cron expression {expression!r:.80}: {reason}")


def _named(field: str, names: tuple[str, ...], first: int) -> str:
    """Return `field` with numbers for `names`, also before an L."""

    def number(match: re.Match[str]) -> str:
        return str(names.index(match[0]) + first) if match[0] in names else match[0]

    return re.sub(r"(?<![a-z])[a-z]{3}(?=l?(?![a-z]))", number, field)
