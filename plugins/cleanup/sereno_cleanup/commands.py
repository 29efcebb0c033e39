"""``sereno cleanup``: look into archives and put back what was kept there."""

from datetime import UTC, datetime
from pathlib import Path

import click

from sereno_cleanup.archives import manifest
from sereno_cleanup.archives.restoration import RestoreError, matching, restore
from sereno_cleanup.archives.verification import Verification

_archive = click.argument("archive", type=click.Path(exists=True, file_okay=False, path_type=Path))


@click.group()
def cleanup() -> None:
    """Verify archives, and put back what was kept there."""


@cleanup.command()
@_archive
def verify(archive: Path) -> None:
    """Read every copy of ARCHIVE again; exit 1 when one is missing or broken."""
    _check_begun(archive)
    now = datetime.now(UTC)  # noqa: TID251
    # Nothing is written: who may only read it may verify it, and the job's place is its own.
    found = Verification(archive, UTC, now, None, lambda: None, lambda: False, marks=False).run()
    click.echo(f"{found.verified} copies are what they were")
    for what, names in (("missing", found.missing), ("broken", found.broken)):
        for name in names:
            click.echo(f"{what}: {name}")
    for name in found.unlisted:
        click.echo(f"not in the manifest: {name}")
    if found.torn_lines:
        click.echo(f"{found.torn_lines} lines of the manifest cannot be read")
    if found.faults:
        raise click.exceptions.Exit(1)


@cleanup.command("restore")
@_archive
@click.argument("pattern")
@click.option(
    "--to",
    "into",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the originals are put, below their paths.",
)
def put_back(archive: Path, pattern: str, into: Path) -> None:
    """Put back the originals in ARCHIVE whose path or table matches the glob PATTERN.

    Nothing is replaced. Rows come as CSV, with the command that loads them.
    """
    _check_begun(archive)
    found = matching(archive, pattern)
    if not found:
        kept = len(manifest.read(archive).kept)
        click.echo(f"none of the {kept} copies in {archive} matches '{pattern}'", err=True)
        raise click.exceptions.Exit(1)
    failed = False
    for one in found:
        try:
            target = restore(archive, one, into)
        except RestoreError as error:
            click.echo(str(error), err=True)
            failed = True
            continue
        click.echo(str(target))
        if one.table is not None:
            click.echo(f"  \\copy {one.table} FROM '{target}' CSV HEADER")
    if failed:
        raise click.exceptions.Exit(1)


def _check_begun(archive: Path) -> None:
    """End the command where there is no manifest: nothing that is missing could be told."""
    if not (archive / manifest.NAME).exists():
        click.echo(
            f"{archive} is no archive: it has no {manifest.NAME}; look whether its disk is mounted",
            err=True,
        )
        raise click.exceptions.Exit(1)
