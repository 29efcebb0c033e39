"""Settings of the generator, Sphinx: nothing is fetched, by it or by who reads."""

import functools
from typing import Any

from sphinx.addnodes import toctree
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

from sereno import __version__

project = "Sereno"
release = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["sereno.css"]
html_title = f"Sereno {__version__}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None
html_theme_options = {"top_of_page_buttons": []}
myst_heading_anchors = 5
myst_enable_extensions = ["deflist"]
# Examples of a terminal, of grammars and of drafts are of no language that a lexer knows whole.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]
highlight_language = "none"  # what a page does not name is no Python: commands, settings, SQL


class Words(SearchEnglish):
    """Finds the stem of a word once, not once for each page that has it."""

    stem = functools.cache(SearchEnglish.stem)


def setup(app: Sphinx) -> None:
    """Have the side bar's lists written here: for each page the theme copies all headings of all
    pages, to leave them out again, and parses the HTML, which is half of what a site takes."""
    app.add_search_language(Words)
    app.connect("html-page-context", _without_lists, priority=400)
    app.connect("html-page-context", _with_lists, priority=600)  # the theme's is 500


def _without_lists(*event: Any) -> None:
    del event[3]["toctree"]


def _with_lists(app: Sphinx, page: str, _: str, context: dict[str, Any], __: object) -> None:
    lists = []
    for found in app.env.master_doctree.findall(toctree):
        pages = found["includefiles"]
        lists.append(
            f'<p class="caption" role="heading"><span class="caption-text">{found["caption"]}'
            "</span></p>\n" + ('<ul class="current">\n' if page in pages else "<ul>\n")
        )
        for other in pages:
            here, mark = (" current current-page", "current ") if other == page else ("", "")
            lists.append(
                f'<li class="toctree-l1{here}"><a class="{mark}reference internal" '
                f'href="{context["pathto"](other)}">{_title(app, other)}</a></li>\n'
            )
        lists.append("</ul>\n")
    context["furo_navigation_tree"] = "".join(lists)


@functools.cache
def _title(app: Sphinx, page: str) -> str:
    return app.builder.render_partial(app.env.titles[page])["title"]
