"""Shows on every replica what the target knows of each table that is moved."""

from collections.abc import Iterator

from sereno import Collector, Metric, Sample
from sereno_etl_ivr.feed import Feed, feeds
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.target import Figures, read_figures

ROWS = Metric("etl_ivr_rows_total", "counter", "Rows by what became of them.")
REJECTS = Metric("etl_ivr_rejects", "gauge", "Rows in ivr.rejects, which wait for a retry.")
WATERMARK = Metric(
    "etl_ivr_watermark_timestamp_seconds",
    "gauge",
    "Every row that the source had up to here is loaded, 0 before the first run.",
)
NEWEST = Metric(
    "etl_ivr_newest_row_timestamp_seconds",
    "gauge",
    "When the newest loaded row began, 0 where there is none.",
)


class LoadedRows(Collector):
    """Reads the target's own counts, which are committed with the rows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return all families."""
        return ROWS, REJECTS, WATERMARK, NEWEST

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the samples of each feed."""
        moved = feeds(self._settings)
        url = self._settings.target_url or database_url
        found = await read_figures(url, moved.values())
        return [sample for name, feed in moved.items() for sample in _samples(feed, found[name])]


def _samples(feed: Feed, figures: Figures) -> Iterator[Sample]:
    labels = {"source": feed.source, "table": feed.name}
    for outcome, rows in figures.outcomes.items():
        yield Sample(ROWS, rows, {**labels, "outcome": outcome})
    yield Sample(REJECTS, figures.waiting, labels)
    for metric, at in ((WATERMARK, figures.reached), (NEWEST, figures.newest)):
        yield Sample(metric, 0 if at is None else at.timestamp(), labels)
