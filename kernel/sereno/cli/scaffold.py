"""``sereno new-plugin``: writes a small plugin package, complete with its test."""

import re
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from sereno.cli.invocation import Invocation
from sereno.cli.moments import system_time
from sereno.cli.options import pass_invocation
from sereno.cli.output import write
from sereno.cli.program import spoken_program
from sereno.model.suggestion import suggested
from sereno.settings import plugin_key

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST = 60
_PREFIX = re.compile(r"sereno[-_. ]+", re.IGNORECASE)
_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "LICENSE.txt": "LICENSE",
    "gitignore.txt": ".gitignore",
    "ci.yml.txt": ".github/workflows/ci.yml",
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
    name = _checked(name, [*invocation.plugins.records])
    root = directory / f"sereno-{name.replace('_', '-')}"
    if root.exists():
        raise click.UsageError(f"{root} exists already; choose another name, or remove it")
    try:
        written = _write(root, name.replace("-", "_"))
    except OSError as error:
        raise click.UsageError(f"{error.filename or root}: {error.strerror}") from error
    for path in written:
        write(f"wrote {path}")
    write()
    write("Next:")
    for line in _next(root, f"{name.replace('-', '_')}.greet"):
        write(f"  {line}")


def _checked(name: str, installed: Sequence[str]) -> str:
    """Return `name` without the prefix that the package gets anyway."""
    short = _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name
    if not _NAME.fullmatch(short) or len(short) > _LONGEST or short == "sereno":
        near = _likely(short)
        raise click.UsageError(
            f"'{name}' is no name of a plugin: lower-case letters and digits, with single - or _ "
            "between them, as in 'billing' or 'call-import'" + suggested(near, mark=";")
        )
    key = plugin_key(short)
    if taken := next((other for other in installed if plugin_key(other) == key), None):
        raise click.UsageError(f"there is a plugin '{taken}' already; choose another name")
    return short


def _likely(name: str) -> str | None:
    """Return the name that `name` comes to without accents, capitals and odd signs."""
    plain = unicodedata.normalize("NFKD", name[:_LONGEST]).encode("ascii", "ignore").decode()
    near = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return near if _NAME.fullmatch(near) and near != "sereno" else None


def _next(root: Path, job: str) -> Iterator[str]:
    sereno = spoken_program()
    yield f"{spoken_program('pip')} install -e {shlex.quote(f'{root}[dev]')}"
    yield f"{spoken_program('pytest')} {shlex.quote(str(root))}"
    yield f"{sereno} check"
    yield f"{sereno} run &"
    yield f"{sereno} trigger {job} --wait"
    yield "kill %1"


def _write(root: Path, name: str) -> list[Path]:
    words = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "package": f"sereno_{name}",
        "upper": name.upper(),
        "year": str(system_time().year),
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
