"""The pages in a browser: under their policy, without a violation of WCAG, at every width."""

import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, async_playwright

from sereno import Client, RunFilter

from .conftest import Serve
from .shop import JOBS, at_work

WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}


PATHS = (
    *("", "jobs", "jobs/shop.orders", "runs", "runs?q=job:shop.*", "runs-changed", "logs"),
    *("jobs/shop.orders/ledger", "jobs/etl.sync/why?at=2026-01-01T06:00Z"),
    *("schedules", "schedules?state=paused", "schedules/etl.sync", "schedules/new", "load"),
    *("schedules/new?job=shop.orders", "schedules/etl.sync/change", "schedules?job=none"),
    *("search?q=shop", "search?q=none.such", "plugins", "people", "people/trail"),
    *("cluster", "changes", "proof?span=1d", "runs-to-change?action=cancel&q=job:shop.slow"),
)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        await browser.close()


WAYS = [("light", 1280, "en")]
"""Light or dark, how wide, and in which language: `make test-browser` looks at all of them."""

if os.environ.get("BROWSER_WAYS") == "all":
    WAYS = [(s, w, n) for s in ("light", "dark") for w in (1280, 360) for n in ("en", "es")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "width", "language"), WAYS)
async def test_each_page_is_fit_for_everybody_under_its_policy(
    scheme: Any, width: int, language: str, browser: Browser, serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        run = await sereno.enqueue("shop.orders", {"number": 7})
        await sereno.wait(run)
        slow = await sereno.enqueue("shop.slow")
        await sereno.pause("etl.sync", reason="away")
        bulk = await sereno.start_bulk("retry", RunFilter(job="shop.bad"), reason="again")
        context = await browser.new_context(
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            timezone_id="Europe/Madrid",
            locale=language,
        )
        page = await context.new_page()
        said: list[str] = []
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        paths = (*PATHS, f"runs/{run}", f"runs/{slow}", f"runs-changed/{bulk.id}")
        for path in paths:
            await page.goto(f"{web.base_url}/console/{path}")
            await page.wait_for_load_state("load")
            found = await Axe().run(page, options=WCAG)
            assert found.violations_count == 0, (path, found.generate_report())
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path, wide)
            shown = await page.evaluate("document.documentElement.lang")
            assert shown == language
        zone = await page.input_value("input[name=zone]")
        await sereno.cancel(slow)

    assert zone == "Europe/Madrid"
    assert [text for text in said if "Content Security Policy" in text] == []


@pytest.mark.long(
    "tests/plugins/console/test_pages_seen.py::test_each_page_is_fit_for_everybody_under_its_policy"
)
async def test_no_page_is_wider_than_a_screen_between_telephone_and_desktop(
    browser: Browser, serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        await sereno.wait(await sereno.enqueue("shop.orders", {"number": 7}))
        await sereno.wait(await sereno.enqueue("shop.bad"))
        page = await browser.new_page(locale="es")
        wide = []
        for path in PATHS:
            await page.goto(f"{web.base_url}/console/{path}")
            for width in (768, 1030, 1220):
                await page.set_viewport_size({"width": width, "height": 800})
                found = await page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
                assert found[0] == width
                wide += [(path, width, found[1])] if found[1] > width else []
    assert wide == []


async def test_a_page_follows_what_happens_and_keys_lead_on(
    browser: Browser, serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        page = await browser.new_page(timezone_id="UTC")
        await page.goto(f"{web.base_url}/console/runs")
        assert await page.get_by_text("Nothing has run yet.").is_visible()
        run = await sereno.enqueue("shop.orders", {"number": 7})
        await page.get_by_role("link", name=f"#{run}").wait_for()
        await page.keyboard.press("g")
        await page.keyboard.press("j")
        await page.wait_for_url("**/console/jobs")
        await page.get_by_role("link", name="Orders").click()
        await page.get_by_text("Run now").click()
        await page.get_by_label("number").fill("8")
        await page.get_by_role("button", name="Run", exact=True).click()
        await page.wait_for_url("**/console/runs/*")
        await page.locator("#standing .state-succeeded").wait_for()
        assert '"number": 8' in await page.locator("#result pre").inner_text()


async def test_a_form_says_what_would_come_of_it_as_somebody_writes(
    browser: Browser, serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        page = await browser.new_page(timezone_id="UTC")
        await page.goto(f"{web.base_url}/console/schedules")
        await page.get_by_role("link", name="New schedule").click()
        await page.get_by_label("Job").select_option("shop.orders")
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_label("Label").fill("often")
        await page.get_by_text("Interval").click()
        assert not await page.get_by_label("Day of month").is_visible()
        await page.get_by_label("Every").fill("0")
        await page.locator("#preview .error").wait_for()
        await page.get_by_label("Every").fill("40")
        await page.get_by_label("Unit").select_option("m")
        await page.locator("#preview").get_by_text("every 40 min").wait_for()
        assert await page.locator("#preview tbody tr").count() == 10
        assert await page.get_by_label("Label").input_value() == "often"
        await page.get_by_role("button", name="Add").click()
        await page.wait_for_url("**/console/schedules/shop.orders%40often")
        found = await sereno.schedule("shop.orders@often")
        assert found.spec.trigger == "every 40m"
