"""What one transaction of the target completes."""

import msgspec

from sereno_etl_ivr.page import Range


class Mark(msgspec.Struct, frozen=True):
    """Where the watermark stands: all rows before `reached` have been loaded.

    Before `settled` none is expected any more; what lies between is read again by the next run.
    """

    reached: int | None
    settled: int | None


class Batch(msgspec.Struct, frozen=True):
    """One transaction. `mark`: what it completes, None when it completes nothing.

    `removes`: what the target holds of the range and the source does not is taken out.
    """

    range: Range
    mark: Mark | None
    removes: bool = False
