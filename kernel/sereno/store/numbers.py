"""Says which numbers of ours come to their end, and what sets them right."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno.store.pool import Database

_REMEDY = (
    "delete the rows of sereno.{table} whose {column} is far beyond the others', then "
    "SELECT setval('{sequence}', (SELECT coalesce(max({column}), 1) FROM sereno.{table}))"
)


class EndingNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that are used up, or soon will be. `number`: table and column; `sequence`: where they
    come from, None of terms; `value`: the last one, of `most`."""

    number: str
    sequence: str | None
    value: int
    most: int

    @property
    def over(self) -> bool:
        """Tell whether there is none left."""
        return self.value >= self.most

    @property
    def sentence(self) -> str:
        """Say so, with the remedy."""
        table, _, column = self.number.partition(".")
        left = self.most - self.value
        how = "are used up: no row is written any more" if self.over else f"end soon: {left:,} left"
        if self.sequence is None:
            remedy = (
                "with all replicas stopped, DELETE FROM sereno.term; UPDATE sereno.leadership SET "
                "term = 1"
            )
        else:
            remedy = _REMEDY.format(table=table, column=column, sequence=self.sequence)
        return f"the numbers of sereno.{self.number} {how} (the last was {self.value}); {remedy}"


def ending_numbers(row: Mapping[str, Any]) -> EndingNumbers:
    """Return the numbers of a row of the function ``numbers_ending``."""
    return EndingNumbers(**{name: row[name] for name in EndingNumbers.__struct_fields__})


async def ending(db: Database) -> list[EndingNumbers]:
    """Return the numbers that come to their end."""
    return [ending_numbers(row) for row in await db.fetch("numbers_ending")]
