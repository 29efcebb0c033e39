"""Keeps which plugins the database did not take when a leader registered them last, and why."""

from collections.abc import Mapping

import msgspec

from sereno.store.pool import Database


class Refusal(msgspec.Struct, frozen=True):
    """Why a plugin is not registered. `mark`: the fingerprint of what it declared, None where that
    cannot even be written."""

    why: str
    mark: str | None = None

    @property
    def sentence(self) -> str:
        """Say it as the reason for which a plugin is not loaded."""
        return f"it cannot be registered: {self.why}"


def refusals(found: object) -> dict[str, Refusal]:
    """Return what the column holds, by plugin; nothing where it was not written by us."""
    try:
        return msgspec.convert(found, dict[str, Refusal])
    except msgspec.ValidationError:
        return {}


def written(found: Mapping[str, Refusal]) -> dict[str, dict[str, str | None]]:
    """Return what the column is to hold."""
    return {
        plugin: {"why": r.why.replace("\0", "\\x00"), "mark": r.mark} for plugin, r in found.items()
    }


async def refused(db: Database) -> dict[str, Refusal]:
    """Return the plugins that the database did not take."""
    return refusals(await db.fetchval("catalogue_refused"))
