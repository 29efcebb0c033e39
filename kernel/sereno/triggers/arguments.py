"""What stands in a trigger's text after the name of its kind, split and not yet understood."""

from collections.abc import Mapping

import msgspec

from sereno.model.errors import TriggerError
from sereno.model.suggestion import suggestion
from sereno.triggers.trigger import Trigger


class Arguments(msgspec.Struct, frozen=True):
    """The words and the triggers in parentheses, in order, and the ``name=value`` options."""

    kind: str
    words: tuple[str, ...]
    triggers: tuple[Trigger, ...]
    options: Mapping[str, str]

    def plain(self, at_least: int = 0, at_most: int | None = None) -> tuple[str, ...]:
        """Return the words of a kind that takes no other trigger, their number checked."""
        if self.triggers:
            raise TriggerError(f"trigger {self.kind!r}: it takes no other trigger in parentheses")
        return self.counted(at_least, at_most)

    def counted(self, at_least: int = 0, at_most: int | None = None) -> tuple[str, ...]:
        """Return the words, their number checked."""
        count = len(self.words)
        if count < at_least:
            raise TriggerError(
                f"trigger {self.kind!r}: it has {count} of the {at_least} words that it needs"
            )
        if at_most is not None and count > at_most:
            extra = self.words[at_most]
            raise TriggerError(f"trigger {self.kind!r}: {extra!r:.60} is one word too many")
        return self.words

    def inner(self) -> Trigger:
        """Return the one trigger in parentheses that this kind changes."""
        if len(self.triggers) != 1:
            raise TriggerError(
                f"trigger {self.kind!r}: it has {len(self.triggers)} triggers in parentheses, it "
                f"needs one, as in '{self.kind} (every 6h) …'"
            )
        return self.triggers[0]

    def first(self) -> tuple[Trigger, tuple[Trigger, ...]]:
        """Return the trigger that this kind changes and the others that tell how."""
        if not self.triggers:
            self.inner()
        return self.triggers[0], self.triggers[1:]

    def only(self, *known: str) -> dict[str, str]:
        """Return the options; one that is not `known` raises TriggerError with a suggestion."""
        for name in self.options:
            if name not in known:
                hint = suggestion(name, known, f"; it knows {', '.join(known) or 'none'}")
                raise TriggerError(f"trigger {self.kind!r}: unknown option {name!r:.60}{hint}")
        return dict(self.options)
