"""Verbs of bulks: change many runs by a filter, seen before, followed, and stopped half way."""

from typing import Any

import msgspec

from sereno.client.verbs import Verbs, check_texts, checked_id, checked_limit
from sereno.model.errors import ConflictError, ParamsError
from sereno.model.text import shortened
from sereno.store import bulks, search
from sereno.store.bulk_queue import BulkAction
from sereno.store.bulks import BulkView
from sereno.store.filters import RunFilter, checked

_COUNTED = 10_000
"""How far a bulk is counted before; of more than that none is, and `expect` says so."""

_MOST = 10_000
_MAX_REASON = 1_000

_UNASKED = 100
"""So many runs are changed without `expect`."""

_MEANT: dict[str, tuple[str, ...]] = {
    "cancel": ("queued", "running"),
    "retry": ("failed", "timed_out", "lost"),
}
"""By action, the states that are meant where the filter names none."""

_FITTING: dict[str, tuple[str, ...]] = {
    "cancel": ("queued", "running"),
    "retry": ("succeeded", "failed", "timed_out", "cancelled", "lost"),
}

_WORDS = {
    "cancel": ("cancel", "over, and cannot be cancelled"),
    "retry": ("queue again", "not over, and cannot be queued again"),
}


class BulkPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a bulk would change now. `filter`: with the states that are meant; `more`: it is of more
    than `found`, or may be, as counting ends somewhere."""

    action: BulkAction
    filter: RunFilter
    found: int
    more: bool

    @property
    def sentence(self) -> str:
        """Return what it would do: ``cancel 253 runs: job shop.*, queued``."""
        how = "more than " if self.more and self.found >= _COUNTED else ""
        how = "at least " if self.more and not how else how
        runs = "run" if self.found == 1 and not self.more else "runs"
        return f"{_WORDS[self.action][0]} {how}{self.found:,} {runs}: {_words_of(self.filter)}"


class BulkVerbs(Verbs):
    """Verbs of bulks."""

    async def preview_bulk(self, action: BulkAction, wanted: RunFilter) -> BulkPreview:
        """Return how many runs a bulk would be of now, counted to 10,000; nothing is changed.

        `action`: ``cancel``, which means runs that wait or are under way, or ``retry``, of those
        that failed, timed out or were lost where the filter names no states. Raises ParamsError for
        a filter that narrows nothing, and as `runs`.
        """
        meant = _meant(action, wanted)
        counted = await search.count(self._db, meant, most=_COUNTED)
        return BulkPreview(action=action, filter=meant, found=counted.found, more=counted.more)

    async def start_bulk(
        self,
        action: BulkAction,
        wanted: RunFilter,
        *,
        reason: str,
        expect: int | None = None,
        requested_by: str | None = None,
    ) -> BulkView:
        """Have the leader cancel or queue again every run that `wanted` is of at this instant.

        It does so in chunks; `bulk` tells how far it is. Runs that are queued later are not
        touched, nor are those queued again that end later. `reason`: kept with the bulk, and with
        each run that it cancels. `expect`: how many runs at most, as the preview told; it must be
        given for more than 100, and for what is too many to count a number over 10,000 confirms
        however many they are. Raises ConflictError, and changes nothing, when it is of more; and as
        `preview_bulk`.
        """
        check_texts(reason=reason, requested_by=requested_by)
        if not reason.strip():
            raise ParamsError(
                "bulk: the reason is empty; it is kept with the bulk and in the trail"
            )
        if expect is not None and (type(expect) is not int or expect < 0):
            raise ParamsError(f"bulk: expect is {expect!r:.60}, it must be a whole number, 0 or up")
        preview = await self.preview_bulk(action, wanted)
        _confirmed(preview, expect)
        number = await bulks.make(
            self._db,
            action,
            preview.filter,
            reason=shortened(reason, _MAX_REASON),
            by=self._by(requested_by),
            expected=None if preview.more else preview.found,
        )
        return await bulks.view(self._db, number)

    async def bulk(self, bulk_id: int) -> BulkView:
        """Return a bulk: how far it is, or how it ended. Raises NotFoundError."""
        return await bulks.view(self._db, checked_id(bulk_id))

    async def bulks(self, *, limit: int = 50, before: int | None = None) -> list[BulkView]:
        """Return the newest bulks. `before`: older than this one."""
        before = None if before is None else checked_id(before)
        return await bulks.newest(self._db, checked_limit(limit, _MOST), before)

    async def cancel_bulk(self, bulk_id: int, *, requested_by: str | None = None) -> BulkView:
        """Have a bulk go no further; what it has changed stays so. One that is over stays as it is.

        Raises NotFoundError.
        """
        check_texts(requested_by=requested_by)
        await bulks.stop(self._db, checked_id(bulk_id), self._by(requested_by))
        return await self.bulk(bulk_id)


def _meant(action: str, wanted: RunFilter) -> RunFilter:
    """Return the filter with the states that are meant; raises ParamsError."""
    if action not in _MEANT:
        raise ParamsError(f"bulk: action is {action!r:.60}, it must be 'cancel' or 'retry'")
    found = checked(wanted)
    if found == RunFilter():
        raise ParamsError(
            "bulk: the filter is empty, which would be every run; narrow it by job, state, time or "
            "another of its fields (job='*' stands for all jobs)"
        )
    for state in found.states:
        if state not in _FITTING[action]:
            raise ParamsError(f"bulk: runs that are {state} are {_WORDS[action][1]}")
    return msgspec.structs.replace(found, states=found.states or _MEANT[action])


def _confirmed(preview: BulkPreview, expect: int | None) -> None:
    """Raise ConflictError unless as many runs are expected as it is of."""
    needed = _COUNTED + 1 if preview.more else preview.found
    if needed <= (_UNASKED if expect is None else expect):
        return
    remedy = f"expect={needed} confirms it" if expect is None else f"{expect:,} were expected"
    raise ConflictError(f"this would {preview.sentence}; {remedy}; nothing was done")


def _words_of(wanted: RunFilter) -> str:
    """Return what a filter narrows by, in words."""
    parts: list[Any] = []
    for name in wanted.__struct_fields__:
        value = getattr(wanted, name)
        if not value:
            continue
        if name in ("states", "causes", "tags"):
            parts.append((" and " if name == "tags" else " or ").join(value))
        elif name == "params":
            parts.append(f"params {msgspec.json.encode(value).decode()}")
        else:
            parts.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(parts)
