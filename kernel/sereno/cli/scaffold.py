"""``sereno new-plugin``: writes a small plugin package, complete with its test."""

import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import pass_invocation
from sereno.cli.output import write

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "plugin.py.txt": "{package}/plugin.py",
    "test_plugin.py.txt": "tests/test_plugin.py",
}


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write sereno-NAME. [default: here]",
)
@pass_invocation
def command(invocation: Invocation, name: str, directory: Path) -> None:
    """Write the package sereno-NAME: settings, one job and its test, ready to be installed."""
    if not _NAME.fullmatch(name) or len(name) > 60:
        raise click.UsageError(
            f"'{name}' is no name of a plugin: lower-case letters and digits, with single - or _ "
            "between them, as in 'billing' or 'call-import'"
        )
    root = directory / f"sereno-{name.replace('_', '-')}"
    if root.exists():
        raise click.UsageError(f"{root} exists already; choose another name, or remove it")
    try:
        written = _write(root, name.replace("-", "_"))
    except OSError as error:
        raise click.UsageError(f"{error.filename or root}: {error.strerror}") from error
    for path in written:
        write(f"wrote {path}")
    job = f"{name.replace('-', '_')}.greet"
    write()
    write("Next:")
    write(f"  pip install -e '{root}[dev]'")
    write(f"  pytest {root}")
    write(f"  sereno check && sereno trigger {job} --wait")


def _write(root: Path, name: str) -> list[Path]:
    words = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "package": f"sereno_{name}",
        "upper": name.upper(),
        "minimum": ".".join(version("sereno").split(".")[:2]),
    }
    texts = {f"sereno_{name}/__init__.py": f'"""The Sereno plugin `{name}`."""\n'}
    texts[f"sereno_{name}/py.typed"] = ""
    source = files("sereno.cli") / "plugin_template"
    for template, target in _FILES.items():
        text = (source / template).read_text("utf-8")
        texts[target.format(**words)] = Template(text).substitute(words)
    for target, text in texts.items():
        path = root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [root / target for target in sorted(texts)]
