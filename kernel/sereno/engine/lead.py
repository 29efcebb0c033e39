"""What runs and their leader have to do with one another, though they lie apart.

The leader starts runs through the `Runner`; the runner needs four things of the leader, and this
protocol is all that it sees of it: nothing else leads back, and each can be tested without the
other.
"""

from typing import Protocol

from sereno.model.run import Outcome


class Lead(Protocol):
    """This node's part in the lead, as its runs see it."""

    @property
    def leading(self) -> bool:
        """Return whether this node leads: a follower has to notify the leader of ended runs."""
        ...

    @property
    def trusted_until(self) -> float | None:
        """Return the steady time until which this node may act as leader, None when it may not.

        No attempt begins then, nor after it: a process that was frozen after it had claimed a run
        may find it another's.
        """
        ...

    @property
    def present_until(self) -> float | None:
        """Return the steady time until which nobody may take this node's runs, whoever leads; None
        when somebody may. What was handed to this node begins before it, or not at all.
        """
        ...

    @property
    def supplied(self) -> bool:
        """Return whether what stands in line here takes the places that become free: then the
        leader, which is another node, need not hear of each at once."""
        ...

    def outcome_written(self, outcome: Outcome) -> None:
        """Take note that an outcome is in the database, or is nobody's any more."""
        ...

    def attempt_over(self) -> None:
        """Take note that one attempt fewer is under way, or at work, on this node."""
        ...

    def place_freed(self) -> None:
        """Take note that a place is free though no outcome was written."""
        ...
