"""Where a plugin's own tables come from, as the plugin says it."""

import re

import msgspec

from sereno.model.errors import DeclarationError

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TAKEN = frozenset({"sereno", "public", "information_schema"})


class Migrations(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin's schema in the kernel's database, and the files that make its tables.

    `folder`, in `package`: ``NNNN_pre_<what>.sql``, applied at a start, and
    ``NNNN_post_<what>.sql``, by ``sereno migrate --post`` alone. Raises DeclarationError for a
    schema that cannot be a plugin's.
    """

    schema: str
    package: str
    folder: str = "migrations"

    def __post_init__(self) -> None:
        """Refuse names that are not a plugin's to take."""
        if self.schema in _TAKEN or self.schema.startswith("pg_"):
            raise DeclarationError(
                f"the schema '{self.schema}' is not a plugin's: the kernel, PostgreSQL or "
                "everybody has it; name one of the plugin's own"
            )
        if not _SCHEMA.fullmatch(self.schema):
            raise DeclarationError(
                f"{self.schema!r:.100} is no name for a plugin's schema: it takes lower-case "
                "letters, digits and '_', at most 63, and begins with no digit"
            )
