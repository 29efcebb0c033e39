"""Where calls go: PostgreSQL, one transaction for each page with its rejects and its watermark."""

from sereno_etl_ivr.target.batch import Batch, Mark
from sereno_etl_ivr.target.target import Target

__all__ = ["Batch", "Mark", "Target"]
