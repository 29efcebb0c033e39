"""How a person calls ``sereno``, and what stands beside it, from another terminal."""

import shlex
import shutil
import sys
from pathlib import Path

_NAME = "sereno"


def spoken_program(name: str = _NAME) -> str:
    """Return what to type for `name`: that where the PATH leads to this sereno, else a path.

    The path is relative where this process's directory is above it, as in ``.venv/bin/sereno``.
    """
    own = Path(sys.executable).with_name(_NAME)
    if not own.is_file():
        return f"{shlex.quote(sys.executable)} -m {name}"
    found = shutil.which(_NAME)
    if found is not None and Path(found).resolve() == own.resolve():
        return name
    beside, here = own.with_name(name), Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))
