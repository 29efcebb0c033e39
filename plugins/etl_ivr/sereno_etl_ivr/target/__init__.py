"""Where calls go: PostgreSQL, one transaction for each page with its rejects and its watermark."""

from sereno_etl_ivr.target.batch import Batch, Mark
from sereno_etl_ivr.target.figures import Figures, read_figures
from sereno_etl_ivr.target.target import Target

__all__ = ["Batch", "Figures", "Mark", "Target", "read_figures"]
