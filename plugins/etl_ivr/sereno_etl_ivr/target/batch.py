"""What one transaction of the target completes."""

from dataclasses import dataclass

from sereno_etl_ivr.page import Range


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the watermark stands: all rows before `reached` have been loaded.

    Before `settled` none is expected any more; what lies between is read again by the next run.
    """

    reached: int | None
    settled: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction. `mark`: what it completes, None when it completes nothing.

    `removes`: what the target holds of the range and the source does not is taken out.
    """

    range: Range
    mark: Mark | None
    removes: bool = False
