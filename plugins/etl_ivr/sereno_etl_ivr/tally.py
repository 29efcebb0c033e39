"""Counts what became of the rows of a run."""

import msgspec


class RowTally(msgspec.Struct):
    """Rows by outcome. `read` = inserted + updated + unchanged + rejected + known rejects.

    `vanished`: rows that the target holds and the source no longer has; reconciliation decides.
    `deleted`: such rows that reconciliation took out. `settled_rejects`: rejects that were loaded
    since, or are gone. `repaired`: batches that were read again cell by cell.
    `earliest`: the first position of an inserted row, where one may have come late.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    still_rejected: int = 0
    vanished: int = 0
    deleted: int = 0
    settled_rejects: int = 0
    batches: int = 0
    repaired: int = 0
    earliest: int | None = None

    @property
    def processed(self) -> int:
        """Return how many rows were new, changed or newly rejected."""
        return self.inserted + self.updated + self.rejected

    def add(self, other: "RowTally") -> None:
        """Add `other`'s counts to these."""
        earliest = [at for at in (self.earliest, other.earliest) if at is not None]
        for name in self.__struct_fields__:
            if name != "earliest":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        self.earliest = min(earliest, default=None)
