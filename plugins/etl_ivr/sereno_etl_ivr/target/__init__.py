"""Where calls go: PostgreSQL, one transaction for each page with its rejects and its watermark."""

from sereno_etl_ivr.target.aggregates import AGGREGATED, Aggregates, Rules
from sereno_etl_ivr.target.batch import Batch, Mark
from sereno_etl_ivr.target.figures import CALL_OUTCOMES, Figures, read_figures, read_today
from sereno_etl_ivr.target.retention import Retention
from sereno_etl_ivr.target.target import Target
from sereno_etl_ivr.target.watermark import Place, Watermark

__all__ = [
    "AGGREGATED",
    "CALL_OUTCOMES",
    "Aggregates",
    "Batch",
    "Figures",
    "Mark",
    "Place",
    "Retention",
    "Rules",
    "Target",
    "Watermark",
    "read_figures",
    "read_today",
]
