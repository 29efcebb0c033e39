"""Settings of the generator, Sphinx: nothing is fetched, by it or by who reads."""

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
