"""Write constraints.txt: one exact version of all that is installed, for every supported Python.

Needs `uv` on the PATH. Versions that fit already stay as they are; `--upgrade` takes the newest.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = """\
# The exact version of every package that `make setup` installs, for each Python from 3.11.
# Made by tools/constraints.py from the pyproject.toml files: change those, then run it.
"""


def declared() -> list[str]:
    """Return every requirement of kernel and plugins, extras included, less those on each other."""
    found: set[str] = set()
    ours = {"sereno"}
    for path in [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]:
        project = tomllib.loads(path.read_text())["project"]
        ours.add(project["name"])
        found.update(project.get("dependencies", []))
        for extra in project.get("optional-dependencies", {}).values():
            found.update(extra)
    return sorted(line for line in found if _name(line) not in ours)


def _name(requirement: str) -> str:
    end = next((i for i, c in enumerate(requirement) if c in "[<>=!~; "), len(requirement))
    return requirement[:end]


def main() -> None:
    """Let uv choose the versions, and write them without the address that they came from."""
    target = ROOT / "constraints.txt"
    target.touch()
    command = ["uv", "pip", "compile", "-", "--universal", "--python-version=3.11", "--no-header"]
    command += ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    command += ["--no-strip-extras", f"--output-file={target}", *sys.argv[1:]]
    subprocess.run(command, input="\n".join(declared()).encode(), check=True)
    # pip takes no extras in a constraint.
    lines = [re.sub(r"\[[^]]*\]", "", line) for line in target.read_text().splitlines()]
    target.write_text(HEADER + "\n".join(sorted(set(lines), key=str.lower)) + "\n")


if __name__ == "__main__":
    main()
