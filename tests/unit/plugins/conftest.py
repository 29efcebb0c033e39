import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from ...planting import plant

HEAD = "from sereno import *\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install plugins for this process."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules: list[str] = []

    def put(name: str, source: str, *, distribution: str = "", version: str = "1.0") -> None:
        distribution = distribution or f"sereno-{name}"
        source = HEAD + dedent(source)
        modules.append(plant(tmp_path, source, name, distribution=distribution, version=version))
        importlib.invalidate_caches()

    yield put
    for module in modules:
        sys.modules.pop(module, None)
