"""Where the files of a package lie."""

from importlib.util import find_spec
from pathlib import Path


def resource_path(package: str, *names: str) -> Path:
    """Return the path of a file or folder that lies in `package`, which need not exist.

    `importlib.resources` also finds it in a zip, from which nothing here can run (asyncpg is in C),
    and brings zipfile for it. Raises ModuleNotFoundError.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"there is no package '{package}'", name=package)
    return Path(spec.submodule_search_locations[0], *names)
