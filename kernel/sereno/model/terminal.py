"""What the terminal behind a stream can show."""

import os
from typing import IO, Any


def moves_its_cursor(stream: IO[Any]) -> bool:
    """Tell whether `stream` is a terminal that does more than write one letter after another."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def takes_colours(stream: IO[Any]) -> bool:
    """Tell whether `stream` is a terminal with colours that nobody has asked to do without."""
    return moves_its_cursor(stream) and not os.environ.get("NO_COLOR")
