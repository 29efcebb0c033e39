"""Shows on every replica what the target knows of each table that is moved."""

from collections.abc import Iterator

from sereno import Collector, Metric, Sample
from sereno_etl_ivr.feed import Feed, feeds
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.target import CALL_OUTCOMES, TableFigures, read_figures, read_today

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
SHARE = Metric(
    "etl_ivr_reject_share",
    "gauge",
    "Of the rows that the last sync read, the share that could not be loaded, from the first row.",
)
LAG = Metric("etl_ivr_lag_seconds", "gauge", "Age of the watermark, 0 before the first run.")
TODAY = Metric(
    "ivr_calls_today",
    "gauge",
    "Calls that came in since midnight, by first queue and outcome, each once.",
)
COUNTED = Metric(
    "ivr_calls_counted_timestamp_seconds",
    "gauge",
    "Up to here the calls of every source are counted, 0 before the first time.",
)
_QUEUES = 50
"""So many queues are shown by name; the calls of others are together."""

_NO_QUEUE = "none"
_OTHERS = "others"


class CallsToday(Collector):
    """Reads what `etl_ivr.aggregate` made of today's calls; midnight is that of the source."""

    metrics = (TODAY, COUNTED)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the calls of each queue; without a call, those of none."""
        url = self._settings.target_url or database_url
        sources = sorted({feed.source for feed in feeds(self._settings).values()})
        today = await read_today(url, sources, self._settings.zone)
        shown = {_NO_QUEUE: dict.fromkeys(CALL_OUTCOMES, 0)}
        for queue, outcomes in today.calls.items():
            name = queue or _NO_QUEUE
            if name not in shown and len(shown) > _QUEUES:
                name = _OTHERS
            counts = shown.setdefault(name, dict.fromkeys(CALL_OUTCOMES, 0))
            for outcome, calls in outcomes.items():
                counts[outcome] += calls
        found = [
            Sample(TODAY, calls, {"queue": queue, "outcome": outcome})
            for queue, counts in shown.items()
            for outcome, calls in counts.items()
        ]
        reached = 0 if today.reached is None else today.reached.timestamp()
        return [*found, Sample(COUNTED, reached, {})]


class LoadedRows(Collector):
    """Reads the target's own counts, which are committed with the rows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return all families."""
        return ROWS, REJECTS, SHARE, LAG, WATERMARK, NEWEST

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the samples of each feed."""
        moved = feeds(self._settings)
        url = self._settings.target_url or database_url
        found = await read_figures(url, moved.values())
        return [sample for name, feed in moved.items() for sample in _samples(feed, found[name])]


def _samples(feed: Feed, figures: TableFigures) -> Iterator[Sample]:
    labels = {"source": feed.source, "table": feed.name}
    for outcome, rows in figures.outcomes.items():
        yield Sample(ROWS, rows, {**labels, "outcome": outcome})
    yield Sample(REJECTS, figures.waiting, labels)
    yield Sample(SHARE, figures.reject_share, labels)
    yield Sample(LAG, figures.lag, labels)
    for metric, at in ((WATERMARK, figures.reached), (NEWEST, figures.newest)):
        yield Sample(metric, 0 if at is None else at.timestamp(), labels)
