"""Reads what a merge counted: pure."""

from typing import Any

from sereno_etl_ivr.tally import RowTally
from sereno_etl_ivr.target.batch import Batch


def merge_tally(merged: Any, batch: Batch, removed: int, settled: int) -> RowTally:
    """Read the counts of a merge. In a part of a second, rows of other parts seem to be gone."""
    whole = batch.range.parts == 1
    return RowTally(
        read=merged["staged"],
        inserted=merged["inserted"],
        updated=merged["updated"],
        unchanged=merged["staged"] - merged["inserted"] - merged["updated"],
        vanished=merged["gone"] - merged["updated"] - removed if whole else 0,
        deleted=removed,
        settled_rejects=settled,
        earliest=merged["earliest"],
        batches=1,
    )
