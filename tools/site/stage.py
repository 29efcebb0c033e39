"""Lays the repository's pages out as the generator wants them: one folder, with an index.

The pages are the same that people read in the repository. What differs is links: those to pages of
the site are kept, those to other files become the file's name.
"""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]

AT_THE_ROOT = {
    "README.md": "index.md",
    "README.es.md": "es/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages beside `docs/`, and where the site has them."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Begin": ("tutorial", "systems"),
    "How to": ("how-to/README", "how-to/*"),
    "Understand": ("explained/*", "architecture", "adr/README"),
    "Write": ("plugins", "chains", "testing", "backfill", "apps", "embedding"),
    "Reference": ("reference/README", "policies", "schedules", "cli", "client", "reference/*"),
    "Plugins": ("etl_ivr", "cleanup", "reports", "notify", "console", "django", "sun", "dask"),
    "Operate": (
        "operate",
        "upgrade",
        "backup",
        "new-cluster",
        "switch-over",
        "restore",
        "runbooks",
        "metrics",
        "alerts",
        "health",
        "failover",
        "scaling",
        "rights",
        "secrets",
        "*",
    ),
    "Español": ("es/*",),
    "Project": ("contributing", "changelog", "adr/*"),
}
"""The order of the pages: each is in the first group that names it; ``*`` are those left over."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```.*?^```)", re.DOTALL | re.MULTILINE)


def staged(target: Path) -> None:
    """Write the source of the site into `target`."""
    shutil.copytree(ROOT / "docs", target)
    for page in target.rglob("*.md"):
        _rewrite(page, ROOT / "docs" / page.relative_to(target), target)
    for name, place in AT_THE_ROOT.items():
        if (ROOT / name).exists():
            copy = target / place
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, copy)
            _rewrite(copy, ROOT / name, target)
    index = target / "index.md"
    index.write_text(f"{index.read_text()}\n{trees(target)}")


def trees(target: Path) -> str:
    """Return the tables of contents that no page shows and the side bar has."""
    left = {str(p.relative_to(target).with_suffix("")) for p in target.rglob("*.md")} - {"index"}
    named = {name for names in GROUPS.values() for name in names if "*" not in name}
    parts = []
    for title, names in GROUPS.items():
        pages: list[str] = []
        for name in names:
            found = sorted(p for p in left - named if _fits(p, name)) if "*" in name else [name]
            pages += [page for page in found if page in left and page not in pages]
        left -= set(pages)
        lines = "\n".join(pages)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n:maxdepth: 1\n\n{lines}\n```\n")
    return "\n".join(parts)


def _fits(page: str, pattern: str) -> bool:
    folder, _, _ = pattern.rpartition("/")
    return page.rpartition("/")[0] == folder


def _rewrite(copy: Path, original: Path, target: Path) -> None:
    parts = _FENCE.split(copy.read_text())
    for at in range(0, len(parts), 2):  # what stands between fences, not in them
        parts[at] = _LINK.sub(lambda m: _link(m, copy, original, target), parts[at])
    copy.write_text("".join(parts))


def _link(found: re.Match[str], copy: Path, original: Path, target: Path) -> str:
    mark, text, address = found.groups()
    if "://" in address or address.startswith(("#", "mailto:")):
        return found[0]
    path, hash_, anchor = address.partition("#")
    file = (original.parent / path).resolve()
    place = _place(file, target)
    if place is None:
        return text
    up = Path(*[".."] * len(copy.parent.relative_to(target).parts)) / place.relative_to(target)
    return f"{mark}[{text}]({up}{hash_}{anchor})"


def _place(file: Path, target: Path) -> Path | None:
    """Return where the site has a file of the repository."""
    if not file.is_relative_to(ROOT):
        return None
    name = str(file.relative_to(ROOT))
    if name in AT_THE_ROOT:
        return target / AT_THE_ROOT[name]
    if file.is_relative_to(ROOT / "docs") and file.is_file():
        return target / file.relative_to(ROOT / "docs")
    return None
