"""What stands in a cell of the admin's tables: names that may break, instants that are short."""

import re
from datetime import datetime

from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

_PARTS = re.compile(r"[^._]*[._]*")


def breakable(name: str) -> SafeString:
    """Return a job's name that may go on in the next line behind a dot or an underscore."""
    return format_html_join("", "{}<wbr>", ((part,) for part in _PARTS.findall(name) if part))


def instant(at: datetime | None) -> str:
    """Return an instant to the second, in the zone and the form of who looks."""
    if at is None:
        return ""
    local = localtime(at)
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M:%S}"
