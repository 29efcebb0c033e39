"""Decides which names of tables from the settings may stand in a statement."""

import re

_PART = r'(?:"(?:[^"{}\x00]|"")+"|[^\W\d][\w$]*)'  # braces are where other names are put in
_NAME = re.compile(rf"({_PART})(?:\.({_PART}))?")
_LONGEST = 63  # bytes: PostgreSQL would cut it


def quoted(name: str) -> str:
    """Return `name` (``table`` or ``schema.table``) as quoted identifiers; raise ValueError.

    Either part may be quoted as in SQL: ``"old calls"``. What is not keeps its letters' case.
    """
    found = _NAME.fullmatch(name)
    parts = [] if found is None else [_identifier(part) for part in found.groups() if part]
    if not parts or any(len(part.encode()) > _LONGEST + 2 for part in parts):
        raise ValueError(
            f"table '{name}': it must be a name such as django_session or public.django_session, "
            'of at most 63 bytes; with other letters, as "old calls"'
        )
    return ".".join(parts)


def _identifier(part: str) -> str:
    return part if part.startswith('"') else f'"{part}"'
