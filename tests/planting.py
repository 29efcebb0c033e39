"""Plants a plugin where Python looks for packages."""

from pathlib import Path


def plant(
    site: Path,
    source: str,
    name: str = "planted",
    *,
    distribution: str = "sereno-planted",
    version: str = "1.0",
) -> str:
    """Install the plugin `name` below `site` as pip leaves it, and return the name of its module.

    A module, its metadata and an entry point: for processes whose PYTHONPATH is `site`.
    """
    module = f"planted_{distribution.replace('-', '_')}"
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    (info / "entry_points.txt").write_text(f"[sereno]\n{name} = {module}\n")
    return module
