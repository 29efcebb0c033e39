"""The body of a mail as a browser draws it: on a telephone and on a desk, with nothing fetched."""

import shutil

from playwright.async_api import async_playwright

from sereno_reports.letter import to_letter

from .some import some_figures, some_look

BARS = """() => [...document.querySelectorAll('td[bgcolor="#1f7a72"]')]
    .map(bar => bar.getBoundingClientRect()).filter(box => box.width > 50 && box.height > 5).length
"""


async def test_a_mail_fits_its_screen_and_shows_its_charts_without_the_network() -> None:
    figures = some_figures(queues=tuple(str(400 + n) for n in range(15)))
    fetched: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = await browser.new_page()
        page.on("request", lambda request: fetched.append(request.url))
        for language in ("es", "en"):
            look = some_look(figures, language=language, targets={"service_level": 0.9})
            await page.set_content(to_letter(figures, look))
            for width in (360, 390, 1280):
                await page.set_viewport_size({"width": width, "height": 900})
                assert await page.evaluate("document.documentElement.scrollWidth") == width
                assert await page.evaluate(BARS) == 24  # one for each hour
        await browser.close()
    assert fetched == []
