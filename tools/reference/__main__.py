"""Write every generated part anew: ``python -m tools.reference``."""

import sys

from tools.reference.pages import renewed

for page, text in renewed().items():
    if page.read_text() != text:
        page.write_text(text)
        sys.stdout.write(f"{page.name}: written anew\n")
