"""How a person calls ``sereno`` again from another terminal."""

import shlex
import shutil
import sys
from pathlib import Path

_NAME = "sereno"


def spoken_program() -> str:
    """Return what to type for ``sereno``: the name where the PATH leads to this one, else a path.

    The path is relative where this process's directory is above it, as in ``.venv/bin/sereno``.
    """
    own = Path(sys.executable).with_name(_NAME)
    if not own.is_file():
        return f"{shlex.quote(sys.executable)} -m {_NAME}"
    found = shutil.which(_NAME)
    if found is not None and Path(found).resolve() == own.resolve():
        return _NAME
    here = Path.cwd()
    return shlex.quote(str(own.relative_to(here) if own.is_relative_to(here) else own))
