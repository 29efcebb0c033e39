"""Where calls go: PostgreSQL, one transaction for each page with its rejects and its watermark."""

from sereno_etl_ivr.target.aggregates import AGGREGATED, Aggregates, Rules
from sereno_etl_ivr.target.batch import Batch, Mark
from sereno_etl_ivr.target.figures import CALL_OUTCOMES, TableFigures, read_figures, read_today
from sereno_etl_ivr.target.retention import Retention
from sereno_etl_ivr.target.target import Target
from sereno_etl_ivr.target.watermark import Watermark, WatermarkPlace

__all__ = [
    "AGGREGATED",
    "CALL_OUTCOMES",
    "Aggregates",
    "Batch",
    "Mark",
    "Retention",
    "Rules",
    "TableFigures",
    "Target",
    "Watermark",
    "WatermarkPlace",
    "read_figures",
    "read_today",
]
