"""Words for what the database has forgotten."""

from datetime import datetime

import msgspec


class Doubt(msgspec.Struct, frozen=True):
    """What was due up to `until` may have run: commits that would tell are not here.

    `beside`: by the cluster that this one is a copy of, and which goes on with its work; so nothing
    of it begins here. Otherwise what must not run twice does not.
    """

    until: datetime
    beside: bool = False

    def forbids(self, on_lost: str) -> bool:
        """Tell whether what was due before may not begin, by the `on_lost` of its job."""
        return self.beside or on_lost == "fail"

    @property
    def reason(self) -> str:
        """Return why it may not."""
        if self.beside:
            return (
                "it may have run: it was the work of the cluster that this one was copied from, "
                f"until {self.until:%Y-%m-%dT%H:%M:%SZ}"
            )
        return (
            "it may have run: the database went on from an older state than a leader had left, "
            f"seen at {self.until:%Y-%m-%dT%H:%M:%SZ}"
        )
