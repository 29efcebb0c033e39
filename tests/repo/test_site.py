"""The site of the manual is built without a warning, is searched and read without other servers."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from tools.site.stage import AT_THE_ROOT, staged

ROOT = Path(__file__).parents[2]

# One worker builds it for all of them.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("site")]


class Fetched(HTMLParser):
    """What a browser fetches for a page by itself: no link that a person follows."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.addresses.append(found.get("src") or "")
        if tag == "link" and found.get("rel") not in ("index", "search", "next", "prev", "author"):
            self.addresses.append(found.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("built") / "site"
    ended = subprocess.run(
        [sys.executable, "-m", "tools.site", str(target)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return target


def test_every_page_of_the_repository_is_on_the_site_and_in_its_search(site: Path) -> None:
    pages = {
        str(p.relative_to(ROOT / "docs").with_suffix("")) for p in (ROOT / "docs").rglob("*.md")
    }
    pages |= {name.removesuffix(".md") for name in AT_THE_ROOT.values()}
    built = {str(p.relative_to(site).with_suffix("")) for p in site.rglob("*.html")}
    assert pages <= built
    index = (site / "searchindex.js").read_text()
    for word in ("fan_out", "watermark", "relevo"):
        assert re.search(rf'\b{word}"?:', index), word


def test_a_reader_s_browser_fetches_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = Fetched()
        fetched.feed(page.read_text())
        assert fetched.addresses
        assert [a for a in fetched.addresses if re.match(r"(\w+:)?//", a)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//|@import", sheet.read_text()), sheet


@pytest.fixture
def explained(site: Path) -> list[str]:
    return sorted(page.as_uri() for page in site.glob("explained/*.html"))


def test_on_a_telephone_drawings_can_be_read_and_pages_are_no_wider(explained: list[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 360, "height": 740})
        for address in explained:
            page.goto(address)
            width = "document.documentElement.scrollWidth"
            assert page.evaluate(width) == 360, address
            for drawing in page.query_selector_all("img[src$='.svg']"):
                box = drawing.bounding_box()
                assert box is not None
                # As in a window of the desk, or nearly so: 760 wide, of letters of 14.
                assert box["width"] > 600, address
        browser.close()


def test_links_out_of_the_manual_become_words(tmp_path: Path) -> None:
    staged(tmp_path / "source")
    index = (tmp_path / "source/index.md").read_text()
    assert "](tests/" not in index
    assert "test_a_leader_that_is_killed_is_followed_by_another" in index
    assert "[Tutorial](tutorial.md)" in index
    assert "](pictures/console-overview.png)" in index
