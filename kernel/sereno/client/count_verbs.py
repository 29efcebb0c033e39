"""Verbs that count slots and runs by spans of time: what pictures of them are drawn from."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise

from sereno.client.verbs import Verbs, check_texts, checked_limit
from sereno.model.bounds import checked_instant
from sereno.model.errors import ParamsError
from sereno.store import counts, views
from sereno.store.counts import EndedCount, SlotCounts, Span

_MOST_SPANS = 2_000
_MOST_COUNTED = 1_000_000


class CountVerbs(Verbs):
    """Verbs that count slots and runs."""

    async def slot_counts(
        self, job: str, marks: Sequence[datetime], *, most: int = 10_000
    ) -> SlotCounts:
        """Return how many of `job`'s slots between each two of `marks`, from the earlier on to
        before the later, had which verdict.

        The newest are counted first, until `most` are: `since` says from where on, for a few times
        that at most are looked at. A range has its share in each span. Raises NotFoundError,
        ParamsError.
        """
        for mark in marks:
            checked_instant(mark, "slot counts: marks")
        if not 2 <= len(marks) <= _MOST_SPANS + 1 or any(a >= b for a, b in pairwise(marks)):
            raise ParamsError(
                f"slot counts: marks must be from 2 to {_MOST_SPANS + 1:,}, each later than before"
            )
        await views.known_job(self._db, job)
        most = checked_limit(most, _MOST_COUNTED)
        return await counts.slots(self._db, job, marks, most=most)

    async def ended_counts(
        self, spans: Sequence[Span], *, jobs: Iterable[str] | None = None, most: int = 20_000
    ) -> list[EndedCount] | None:
        """Return how many runs ended in each of `spans`, from one instant to before another, by
        state; of `jobs`, None: of all.

        The newest `most` of a span are looked at, and `more` says so. Runs that are kept no more
        count where the quarter of an hour began in which they ended. None: the index by which runs
        are found so is not there (docs/schema.md). Raises ParamsError.
        """
        if len(spans) > _MOST_SPANS:
            raise ParamsError(f"ended counts: {len(spans):,} spans are more than {_MOST_SPANS:,}")
        for instant in (instant for span in spans for instant in span):
            checked_instant(instant, "ended counts: spans")
        named = None if jobs is None else list(jobs)
        check_texts(**dict.fromkeys(("jobs",), "".join(named or ())))
        most = checked_limit(most, _MOST_COUNTED)
        return await counts.ended(self._db, spans, jobs=named, most=most)
