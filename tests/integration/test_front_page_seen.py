"""The front page as a person's browser draws it."""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from sereno.http.front import front_page

pytestmark = pytest.mark.xdist_group("front page seen")  # one browser for all

_STATES = ("ok", "running", "overdue", "failed", "timed_out", "lost", "paused")
_READABLE = 4.5
"""WCAG 2.2, AA: the least contrast of a text of this size with what is behind it."""

_COLOURS = """elements => {
    const behind = node => {
        const colour = getComputedStyle(node).backgroundColor;
        const drawn = node === document.documentElement || !/, 0\\)$/.test(colour);
        return drawn ? colour : behind(node.parentElement);
    };
    const how = {colorSpace: "srgb", willReadFrequently: true};
    const canvas = document.createElement("canvas").getContext("2d", how);
    const seen = (below, above) => {
        for (const colour of [below, above]) {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
        }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const sheet = dark ? "rgb(18, 18, 18)" : "rgb(255, 255, 255)";
    return elements.map(element => {
        const ground = seen(sheet, behind(element));
        const text = seen(`rgb(${ground})`, getComputedStyle(element).color);
        return [element.innerText, ground, text];
    });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("status", ["ok", "degraded", "down"])
def test_every_word_of_the_page_can_be_read(status: str, scheme: Any, browser: Browser) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.set_content(front_page(_report(status)))
    badge = page.query_selector("h1 small")
    assert badge is not None
    assert badge.inner_text() == status
    words = "h1, h1 small, p, p b, li, th, td, a, footer"
    colours = page.eval_on_selector_all(words, _COLOURS)
    assert len(colours) > len(_STATES)
    for word, ground, text in colours:
        assert _contrast(ground, text) >= _READABLE, word


def _contrast(ground: list[int], text: list[int]) -> float:
    light, dark = sorted((_luminance(ground), _luminance(text)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: list[int]) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _report(status: str) -> dict[str, Any]:
    now = "2026-01-01T00:05:00+00:00"
    tasks = [
        {
            "name": f"etl.{state}",
            "state": state,
            "last_run": {"state": re.sub("^ok$", "succeeded", state), "ended_at": now},
            "paused": state == "paused",
            "next_run_at": now,
        }
        for state in _STATES
    ]
    return {
        "status": status,
        "version": "0.1.0",
        "node": {"label": "blue-1", "role": "leader"},
        "leader": {"label": "blue-1", "term": 3},
        "store": {"up": True, "now": now},
        "problems": [] if status == "ok" else ["job 'etl.overdue' is overdue"],
        "tasks": tasks,
        "tasks_total": len(tasks) + 1,
    }
