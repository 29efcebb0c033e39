"""Build every wheel and the source distribution, and say what keeps them from being released."""

import email
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = ("Summary", "License", "Requires-Python", "Description")
CONF = ("prometheus/sereno.rules.yml", "systemd/sereno.service", "grafana/sereno.json",
        "kubernetes/deployment.yaml", "sereno.toml")  # fmt: skip


def main() -> int:
    """Print each fault; return 1 when there is one."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    faults = [*changelog_faults(version), *tree_faults(version)]
    with tempfile.TemporaryDirectory() as place:
        for project in (ROOT, *sorted(p.parent for p in ROOT.glob("plugins/*/pyproject.toml"))):
            faults += wheel_faults(built(project, Path(place)), project, version)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", place],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"release-check: version {version} is fit to be released")
    return int(bool(faults))


def built(project: Path, place: Path) -> Path:
    """Build the wheel of `project` and return it."""
    before = set(place.glob("*.whl"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)],
        cwd=project, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = set(place.glob("*.whl")) - before
    return wheel


def wheel_faults(wheel: Path, project: Path, version: str) -> Iterator[str]:
    """Yield what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        facts = email.message_from_string(files.read(metadata).decode())
    yield from (f"{wheel.name}: {fault}" for fault in _metadata_faults(facts, version))
    if not any("/licenses/" in n or n.endswith(".dist-info/LICENSE") for n in names):
        yield f"{wheel.name}: it holds no licence"
    if not any(n.endswith("/py.typed") for n in names):
        yield f"{wheel.name}: it holds no py.typed, so nobody sees its types"
    for name in names:
        if "__pycache__" in name or name.startswith(("tests/", "docs/")):
            yield f"{wheel.name}: '{name}' does not belong into it"
    if project == ROOT:
        data = {n.partition(".data/data/share/sereno/conf/")[2] for n in names}
        yield from (f"{wheel.name}: conf/{n} is not in it" for n in CONF if n not in data)
        starts = {n.partition("/share/sereno/examples/")[2] for n in names}
        there = {f"{p.parent.name}/start.py" for p in ROOT.glob("examples/*/start.py")}
        yield from (f"{wheel.name}: examples/{n} is not in it" for n in sorted(there - starts))
        migrations = len([n for n in names if "/store/migrations/" in n and n.endswith(".sql")])
        known = len(list((ROOT / "kernel/sereno/store/migrations").glob("*.sql")))
        if migrations != known:
            yield f"{wheel.name}: {migrations} of {known} migrations are in it"


def _metadata_faults(facts: Message, version: str) -> Iterator[str]:
    if facts["Version"] != version:
        yield f"its version is {facts['Version']}, the kernel's is {version}"
    text = facts.get_payload()
    values = {**dict(facts.items()), "Description": text if isinstance(text, str) else ""}
    values["License"] = values.get("License-Expression") or values.get("License", "")
    for name in NEEDED:
        if not values.get(name, "").strip():
            yield f"its metadata have no {name}"
    if values.get("Description-Content-Type") != "text/markdown":
        yield "its long description is not said to be Markdown"


def changelog_faults(version: str) -> Iterator[str]:
    """Yield what the changelog lacks."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE):
        yield f"CHANGELOG.md: no section '## [{version}] - YYYY-MM-DD'"


def tree_faults(version: str) -> Iterator[str]:
    """Yield where another version is named than that of pyproject.toml."""
    for path in (ROOT / "kernel/sereno/__init__.py", *ROOT.glob("plugins/*/sereno_*/__init__.py")):
        found = re.search(r'^__version__ = "(.+)"$', path.read_text("utf-8"), re.MULTILINE)
        if found and found[1] != version:
            yield f"{path.relative_to(ROOT)}: __version__ is {found[1]}, not {version}"


if __name__ == "__main__":
    sys.exit(main())
