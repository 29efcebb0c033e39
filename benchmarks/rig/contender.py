"""Who takes part: Sereno and its peers, each an adapter program in an environment of its own.

``benchmarks/peers.toml`` lists them with exact versions. A peer's virtual environment is made when
it is first asked for, under ``.cache/peers``.
"""

import glob
import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".cache" / "peers"
LIST = ROOT / "benchmarks" / "peers.toml"
_PYTHONS = ("~/.pyenv/versions/{0}.*/bin/python", "/usr/local/bin/python{0}", "/usr/bin/python{0}")


class ContenderError(Exception):
    """A peer's environment cannot be made; the sentence says why."""


@dataclass(frozen=True)
class Contender:
    """One row of the tables. `needs`: exact versions; empty for Sereno, which runs from here.

    `settings`: all that is not a default, in every bench; `settings_in`: what a bench adds to it.
    """

    name: str
    title: str
    adapter: str
    benches: tuple[str, ...]
    settings: str
    settings_in: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    python: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    align: int = 1

    def said(self, bench: str) -> str:
        """Return every setting of this bench that is not a default, in a sentence."""
        return "; ".join(filter(None, [self.settings_in.get(bench, ""), self.settings]))

    @property
    def program(self) -> Path:
        """The adapter's file."""
        return ROOT / "benchmarks" / "peers" / self.adapter

    def interpreter(self) -> Path:
        """Return the Python that has what this one needs; raises ContenderError."""
        if not self.needs:  # the product itself
            return Path(sys.executable)
        key = hashlib.sha256("\n".join((self.python, *self.needs)).encode()).hexdigest()[:8]
        place = PLACE / f"{self.name.split('_')[0]}-{key}"
        ready = place / "ready"
        if not ready.exists():
            self._install(place)
            ready.touch()
        return place / "bin" / "python"

    def _install(self, place: Path) -> None:
        made = subprocess.run(
            [self._base(), "-m", "venv", "--clear", str(place)], capture_output=True, text=True
        )
        if made.returncode:
            raise ContenderError(f"{self.name}: no virtual environment: {_last(made.stderr)}")
        print(f"installing {', '.join(self.needs)}", file=sys.stderr, flush=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", *self.needs]
        installed = subprocess.run(pip, capture_output=True, text=True)
        if installed.returncode:
            raise ContenderError(f"{self.name}: pip install failed: {_last(installed.stderr)}")

    def _base(self) -> str:
        if not self.python:
            return getattr(sys, "_base_executable", sys.executable)
        for pattern in _PYTHONS:
            found = sorted(glob.glob(str(Path(pattern.format(self.python)).expanduser())))
            if found:
                return found[-1]
        raise ContenderError(f"{self.name} needs Python {self.python}, which is not installed here")


def contenders(bench: str, wanted: str | None) -> list[Contender]:
    """Return Sereno and the peers of `bench` that are `wanted`: "all", names with commas, or None.

    Raises ContenderError on an unknown name.
    """
    listed = tomllib.loads(LIST.read_text())
    known = [Contender(name=n, **_tuples(table)) for n, table in listed.items()]
    taking_part = [c for c in known if bench in c.benches]
    names = [c.name for c in taking_part]
    chosen = names if wanted == "all" else ["sereno", *(wanted or "").split(",")]
    for name in chosen:
        if name and name not in names:
            raise ContenderError(
                f"'{name}' takes no part in {bench}; choose from {', '.join(names)}"
            )
    return [c for c in taking_part if c.name in chosen]


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}


def _last(text: str) -> str:
    return " ".join(text.strip().splitlines()[-3:])
