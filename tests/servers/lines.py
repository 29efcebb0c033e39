"""Lines of a file that another process writes to meanwhile."""

from pathlib import Path


def whole_lines(file: Path) -> list[str]:
    """Return the lines that are there to their end; none of a file that is not there yet.

    A write with O_APPEND is never torn by another's, but is by who reads: where it goes over the
    end of a page, its beginning may be seen before the rest.
    """
    try:
        text = file.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return text.rpartition("\n")[0].splitlines()
