"""The systems that ``sereno demo NAME`` starts: folders with a ``start.py``, beside the code or in
the environment that Sereno was installed into."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from sereno.model.errors import NotFoundError
from sereno.model.resource import resource_path
from sereno.model.suggestion import suggestion

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class Example(NamedTuple):
    """A system that can be started. `missing`: what it needs and this environment lacks."""

    name: str
    folder: Path
    what: str
    missing: tuple[str, ...]

    @property
    def program(self) -> Path:
        """Return what starts it."""
        return self.folder / "start.py"

    @property
    def requirements(self) -> Path:
        """Return the list of what it needs."""
        return self.folder / "requirements.txt"


def examples() -> list[Example]:
    """Return those that are here, by name; none where only the kernel's package was copied."""
    places = (
        resource_path("sereno").parents[1] / "examples",
        Path(sys.prefix, "share", "sereno", "examples"),
    )
    for place in places:
        found = sorted(place.glob("*/start.py"))
        if found:
            return [_example(program.parent) for program in found]
    return []


def example(name: str) -> Example:
    """Return the one of this name; raises NotFoundError."""
    known = {one.name: one for one in examples()}
    if name not in known:
        hint = suggestion(name, sorted(known), "; `sereno demo --list` tells which there are")
        raise NotFoundError(f"there is no example '{name}'{hint}")
    return known[name]


def _example(folder: Path) -> Example:
    told = ast.get_docstring(ast.parse((folder / "start.py").read_text("utf-8"))) or ""
    needed = (folder / "requirements.txt").read_text("utf-8").splitlines()
    return Example(folder.name, folder, told.partition("\n")[0], tuple(_missing(needed)))


def _missing(lines: list[str]) -> Iterator[str]:
    for line in lines:
        named = _NAME.match(line)
        if named is None:
            continue
        try:
            distribution(named[0])
        except PackageNotFoundError:
            yield named[0]
