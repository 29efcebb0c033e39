"""conf/grafana/calls.json: each expression finds data in a Prometheus that reads our page."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
import pytest
from tests.prometheus.programs import ROOT, program
from tests.prometheus.stage import is_up
from tests.servers.supervised import Supervised, free_port
from tests.servers.waiting import wait_until

from sereno.observe.exposition import MetricsPage
from sereno.observe.plugin_metrics import Collected
from sereno_etl_ivr import plugin
from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync, sync_of

from .conftest import Sync
from .exchange import QUEUES, Exchange
from .pbx import Pbx

DASHBOARD = json.loads((ROOT / "conf/grafana/calls.json").read_text("utf-8"))
VARIABLES = {"$cluster": ".*", "$queue": ".*", "$__rate_interval": "10s"}


def expressions() -> list[str]:
    found = [t["expr"] for panel in DASHBOARD["panels"] for t in panel.get("targets", ())]
    for variable, value in VARIABLES.items():
        found = [expression.replace(variable, value) for expression in found]
    assert not [expression for expression in found if "$" in expression]
    return found


class Scraped:
    """A Prometheus that reads one page, which a test writes."""

    page = b""

    def __init__(self, place: Path) -> None:
        scraped = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(scraped.page)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.supervised = Supervised("prometheus", account=None)
        port = free_port()
        config = self.supervised.place / "prometheus.yml"
        config.write_text(
            "global: { scrape_interval: 1s }\nscrape_configs:\n"
            "  - { job_name: sereno, honor_labels: true, static_configs: [{ targets: ["
            f"'127.0.0.1:{self.server.server_port}'], labels: {{ cluster: prod }} }}] }}\n"
        )
        self.url = f"http://127.0.0.1:{port}"
        self.supervised.start(
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.supervised.place / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stop_signal="TERM",
            ready=lambda: is_up(f"{self.url}/-/ready"),
        )

    def finds(self, expression: str) -> bool:
        try:
            with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': expression})}") as answer:
                return bool(json.load(answer)["data"]["result"])
        except OSError:
            return False

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.supervised.remove()


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[Scraped]:
    """Give a Prometheus that reads a page."""
    found = Scraped(tmp_path)
    yield found
    found.close()


@pytest.mark.timeout(240)
async def test_every_expression_of_the_dashboard_finds_data(
    empty_pbx: Pbx, synced: Sync, database: str, scraped: Scraped
) -> None:
    exchange = Exchange(empty_pbx)
    exchange.create()
    settings: dict[str, Any] = {"tables": QUEUES}
    empty_pbx.execute("SET time_zone = '+00:00'")
    with empty_pbx.connection.cursor() as cursor:
        cursor.execute("SELECT GREATEST(CURDATE(), NOW() - INTERVAL 5 MINUTE)")
        (at,) = cursor.fetchone()
    exchange.queued(at, menu=0, wait=3, talk=20)
    exchange.queued(at, menu=0, wait=9)
    for job in (sync_of("queues"), sync, aggregate):
        await synced(empty_pbx, job, **settings)
    chosen = msgspec.convert({"source_url": empty_pbx.url, **settings}, Settings)
    collectors = plugin.sereno_register_collectors(chosen)
    page = MetricsPage()
    await Collected({"etl_ivr": collectors}, database, patience=30).write(page)
    scraped.page = page.text()
    asked = expressions()

    def empty() -> list[str]:
        return [expression for expression in asked if not scraped.finds(expression)]

    wait_until(lambda: not empty(), f"data for {empty()}", 60)
    assert len(asked) == len(DASHBOARD["panels"]) - 2  # two are titles of rows


def test_the_dashboard_is_importable_anywhere() -> None:
    assert DASHBOARD["id"] is None
    sources = set(re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD)))
    assert sources == {"${datasource}", "sereno-calls", "-- Grafana --"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        x, y, w, h = (panel["gridPos"][name] for name in "xywh")
        cells = {(a, b) for a in range(x, x + w) for b in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken
        taken |= cells
        assert panel["type"] == "row" or panel["description"]


def test_the_dashboard_uses_only_series_of_the_plugin() -> None:
    collectors = plugin.sereno_register_collectors(Settings(source_url="mysql://h/d"))
    there = {metric.name for one in collectors for metric in one.metrics}
    used = set(re.findall(r"\b(?:etl_ivr|ivr)_\w+", json.dumps(DASHBOARD["panels"])))
    assert used <= there
