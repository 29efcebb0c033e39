"""Counts what became of the rows of a run."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Tally:
    """Rows by outcome. `read` = inserted + updated + unchanged + rejected + known rejects.

    `vanished`: rows that the target holds and the source no longer has; reconciliation decides.
    `repaired`: batches that were read again cell by cell.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    still_rejected: int = 0
    vanished: int = 0
    batches: int = 0
    repaired: int = 0

    @property
    def processed(self) -> int:
        """Return how many rows were new, changed or newly rejected."""
        return self.inserted + self.updated + self.rejected

    def add(self, other: "Tally") -> None:
        """Add `other`'s counts to these."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
