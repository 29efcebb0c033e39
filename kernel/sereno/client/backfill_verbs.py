"""Verbs of back-fills: run slots that were missed or never due, seen before, followed, and stopped
half way."""

from collections import Counter
from datetime import datetime

import msgspec

from sereno.client.verbs import Verbs, check_texts, checked_id, checked_limit
from sereno.model.bounds import checked_instant
from sereno.model.errors import ConflictError, ParamsError
from sereno.model.text import shortened
from sereno.store import backfills
from sereno.store.backfill_slots import FoundSlots, Span, slots_to_fill
from sereno.store.backfills import BackfillView, ScheduleToFill
from sereno.triggers.instant import MICROSECOND

_LOOKED_AT = 100_000
"""Slots that a preview looks at: seconds of work at most."""

_MOST = 10_000
_MOST_PARALLEL = 100
_MAX_REASON = 1_000

_UNASKED = 100
"""So many slots are filled without `expect`."""


class BackfillPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a back-fill would run now: `found` slots of `schedule` in [since, until).

    `first`, `last`: of those. `kinds`: what became of them before, as ``missed`` or ``never due``;
    `left_out`: why others of the span are not among them. `more`: it is of more than `found`, as
    counting ends at `most`, or may be: the span has too many slots to look at.
    """

    schedule: str
    job: str
    since: datetime
    until: datetime
    found: int
    more: bool
    most: int
    first: datetime | None
    last: datetime | None
    kinds: dict[str, int]
    left_out: dict[str, int]

    @property
    def sentence(self) -> str:
        """Return what it would do: ``run 24 slots of 'etl.sync', from ... to ...: 24 missed``."""
        slots = "slot" if self.found == 1 and not self.more else "slots"
        how = "more than " if self.more else ""
        of = f"run {how}{self.found:,} {slots} of '{self.schedule}'"
        if self.first is not None and self.last is not None:
            of += f", {_at(self.first)} to {_at(self.last)}"
        if self.kinds:
            of += f": {_counts(self.kinds)}"
        return f"{of}; left out: {_counts(self.left_out)}" if self.left_out else of


class BackfillVerbs(Verbs):
    """Verbs of back-fills."""

    async def preview_backfill(
        self,
        name: str,
        since: datetime,
        until: datetime | None = None,
        *,
        missed_only: bool = False,
        again: bool = False,
    ) -> BackfillPreview:
        """Return which slots a back-fill would run now; nothing is changed.

        `name`: of a schedule, or of a job that has one. The span is [since, until), until now where
        `until` is left out. Meant are slots that did not run: missed, coalesced, skipped, and those
        that were never due, as the schedule was not there; with `missed_only` those whose verdict
        is ``missed`` alone, with `again` also those that ran. Raises NotFoundError, ParamsError for
        what is no span of the past, DeclarationError for a schedule that cannot be filled.
        """
        schedule, span = await self._span(name, since, until, missed_only, again)
        return await self._preview(schedule, span)

    async def start_backfill(
        self,
        name: str,
        since: datetime,
        until: datetime | None = None,
        *,
        missed_only: bool = False,
        again: bool = False,
        parallel: int = 1,
        reason: str = "",
        expect: int | None = None,
        requested_by: str | None = None,
    ) -> BackfillView:
        """Have the leader run the slots that `preview_backfill` tells of, each with its own
        instant, the oldest first; `backfill` tells how far it is.

        `parallel`: how many runs of it may wait or work at once, 1 to 100; the job's own policies
        hold besides. A slot is filled once, however many ask for it, unless with `again`. `expect`:
        how many slots at most, as the preview told; it must be given for more than 100. Raises
        ConflictError, and changes nothing, when it is of more, or of more than `max_backfill` of
        the settings; and as `preview_backfill`.
        """
        check_texts(reason=reason, requested_by=requested_by)
        _whole("parallel", parallel, 1, _MOST_PARALLEL)
        if expect is not None:
            _whole("expect", expect, 0, None)
        schedule, span = await self._span(name, since, until, missed_only, again)
        preview = await self._preview(schedule, span)
        _confirmed(preview, expect)
        number = await backfills.make(
            self._db,
            schedule,
            span,
            parallel=parallel,
            reason=shortened(reason, _MAX_REASON),
            by=self._by(requested_by),
            expected=preview.found,
        )
        return await backfills.view(self._db, number)

    async def backfill(self, backfill_id: int) -> BackfillView:
        """Return a back-fill: how far it is, or how it ended. Raises NotFoundError."""
        return await backfills.view(self._db, checked_id(backfill_id))

    async def backfills(self, *, limit: int = 50, before: int | None = None) -> list[BackfillView]:
        """Return the newest back-fills. `before`: older than this one."""
        before = None if before is None else checked_id(before)
        return await backfills.newest(self._db, checked_limit(limit, _MOST), before)

    async def cancel_backfill(
        self, backfill_id: int, *, requested_by: str | None = None
    ) -> BackfillView:
        """Have a back-fill queue no more; its runs that wait are cancelled, those under way go on.
        One that is over stays as it is. Raises NotFoundError."""
        check_texts(requested_by=requested_by)
        await backfills.stop(self._db, checked_id(backfill_id), self._by(requested_by))
        return await self.backfill(backfill_id)

    async def _span(
        self, name: str, since: datetime, until: datetime | None, missed_only: bool, again: bool
    ) -> tuple[ScheduleToFill, Span]:
        check_texts(name=name)
        checked_instant(since, "backfill: since")
        if until is not None:
            checked_instant(until, "backfill: until")
        if missed_only and again:
            raise ParamsError("backfill: missed_only and again exclude one another; take one")
        schedule = await backfills.schedule_to_fill(self._db, name)
        if until is not None and until > schedule.now:
            raise ParamsError(
                f"backfill: until {until} is in the future, it is {_at(schedule.now)}; what is to"
                " come fires by itself"
            )
        end = schedule.now if until is None else until
        if since >= end:
            raise ParamsError(f"backfill: since {since} is not before until {end}")
        return schedule, Span(
            schedule_id=schedule.id,
            since=since,
            until=end,
            missed_only=missed_only,
            again=again,
        )

    async def _preview(self, schedule: ScheduleToFill, span: Span) -> BackfillPreview:
        most = self._max_backfill
        after = span.since - MICROSECOND
        _, found = await slots_to_fill(self._db, span, after, most=most + 1, looked=_LOOKED_AT)
        chosen = found.chosen[:most]
        return BackfillPreview(
            schedule=schedule.name,
            job=schedule.job,
            since=span.since,
            until=span.until,
            found=len(chosen),
            more=_goes_on(found, most),
            most=most,
            first=chosen[0].slot if chosen else None,
            last=chosen[-1].slot if chosen else None,
            kinds=dict(Counter(c.kind for c in chosen)),
            left_out=dict(found.left),
        )


def _goes_on(found: FoundSlots, most: int) -> bool:
    return len(found.chosen) > most or found.place is not None


def _whole(what: str, value: int, least: int, most: int | None) -> None:
    if type(value) is not int or value < least or (most is not None and value > most):
        rule = f"{least} or up" if most is None else f"from {least} to {most}"
        raise ParamsError(f"backfill: {what} is {value!r:.60}, it must be a whole number, {rule}")


def _confirmed(preview: BackfillPreview, expect: int | None) -> None:
    """Raise ConflictError unless it is of slots, of no more than there may be, and as many are
    expected."""
    would = f"this would {preview.sentence}"
    if preview.more:
        why = f"one back-fill may run {preview.most:,} (max_backfill)"
        if preview.found < preview.most:
            why = f"the span has more than {_LOOKED_AT:,} slots"
        raise ConflictError(f"{would}; {why}: take a shorter span; nothing was done")
    if preview.found == 0:
        raise ConflictError(f"{would}: there is nothing to run; nothing was done")
    if preview.found > (_UNASKED if expect is None else expect):
        remedy = f"expect={preview.found} confirms it"
        if expect is not None:
            remedy = f"{expect:,} were expected"
        raise ConflictError(f"{would}; {remedy}; nothing was done")


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in found.items())


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
