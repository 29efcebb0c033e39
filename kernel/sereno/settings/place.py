"""Where a setting was set, and how that place spells a key: each error points at it."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from sereno.model.suggestion import nearest, suggested

Key = tuple[str | int, ...]
"""A path through the tables, as ("http", "port"); an int counts in a list."""


class SettingPlace(msgspec.Struct, frozen=True):
    """One place: a line of a file, a variable, a flag."""

    kind: Literal["file", "environment", "flag", "default"]
    text: str

    @property
    def lax(self) -> bool:
        """Tell whether values from here may be text where a number is asked for."""
        return self.kind in {"environment", "flag"}

    def spelled(self, key: Key) -> str:
        """Return `key` as a person would write it here."""
        words = [str(part) for part in key]
        if self.kind == "environment":
            return "SERENO_" + "__".join(words).replace(".", "__").upper()
        if self.kind == "flag":
            return "--" + "-".join(words).replace("_", "-")
        return f"'{words[-1]}'" if words else "''"

    def near(self, key: Key, known: Iterable[Key]) -> str:
        """Return ", did you mean ...?" for an unknown `key`, or what it could have been."""
        spelled = [self.spelled(other) for other in known]
        close = nearest(self.spelled(key), spelled)
        table = f" in [{dotted(key[:-1])}]" if len(key) > 1 else ""
        listed = f"{table}; known are {', '.join(sorted(spelled))}" if spelled else table
        return suggested(close, listed, quote="")  # it has quotes where the place writes them


def dotted(key: Key) -> str:
    """Return `key` as TOML writes it: ``jobs."etl.sync".timeout``."""
    return ".".join(
        p if p.replace("_", "").replace("-", "").isalnum() else f'"{p}"' for p in map(str, key)
    )


DEFAULT = SettingPlace("default", "default")


class SettingPlaces(msgspec.Struct, frozen=True):
    """The places of all keys that were set."""

    places: Mapping[Key, SettingPlace] = {}

    def place(self, key: Key) -> SettingPlace:
        """Return where `key` was set, else the nearest table around it."""
        for length in range(len(key), -1, -1):
            if found := self.places.get(key[:length]):
                return found
        return DEFAULT

    def over(self, other: "SettingPlaces") -> "SettingPlaces":
        """Return both, this one's places winning."""
        return SettingPlaces({**other.places, **self.places})
