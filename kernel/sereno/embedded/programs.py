"""Run the programs of a PostgreSQL installation: to their end, or cut off from our terminal."""

import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sereno.embedded.account import SystemAccount
from sereno.embedded.remedy import REMEDY
from sereno.model.errors import EmbeddedError

_CREATE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """The programs of one PostgreSQL installation, and the account that runs them."""

    bin: Path
    major: int
    account: SystemAccount | None

    def popen(self, *command: str, output: IO[bytes], cwd: Path) -> subprocess.Popen[bytes]:
        """Start a program as the account, in a session of its own, writing to a file.

        A pipe in place of the file would never end, as the server inherits it.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        who = self.account
        try:
            return subprocess.Popen(  # noqa: S603 - our own programs, no shell
                [self.bin / command[0], *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**environment, "LC_ALL": "C"},
                start_new_session=True,
                user=who.uid if who else None,
                group=who.gid if who else None,
                extra_groups=[] if who else None,
            )
        except OSError as error:
            as_whom = f" as '{who.name}'" if who else ""
            raise EmbeddedError(f"PostgreSQL cannot be run{as_whom}: {error}, {REMEDY}") from error

    def run(self, *command: str, cwd: Path, seconds: float) -> None:
        """Run a program to its end; raise EmbeddedError with what it said when it fails.

        Ctrl-C does not reach it: an interrupted caller waits, and so knows what is left behind.
        """
        with tempfile.TemporaryFile() as output:
            process = self.popen(*command, output=output, cwd=cwd)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
            except BaseException:
                process.wait(seconds)
                raise
            output.seek(0)
            said = output.read().decode(errors="replace").strip() or f"exit code {code}"
        if code is None:
            raise EmbeddedError(f"'{command[0]}' in '{cwd}' took over {seconds:.0f} s: {said}")
        if code != 0:
            raise EmbeddedError(f"'{command[0]}' in '{cwd}' failed: {said}")

    def create(self, data: Path, *, durable: bool) -> None:
        """Create a cluster at ``data``, whole or not at all.

        UTF-8, ordered by code point; ``postgres`` may do everything, through the socket alone.
        """
        for abandoned in data.parent.glob(f"{data.name}.new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        # A name of its own: an initdb whose caller was killed lives on, and tidies up if it fails.
        fresh = data.with_name(f"{data.name}.new-{secrets.token_hex(4)}")
        locale = ["--locale=C.UTF-8"]
        if self.major >= 17:  # needs no locale of the system's: not every Linux has C.UTF-8
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self.run(
            "initdb", "-D", str(fresh), "--encoding=UTF8", *locale, "--username=postgres",
            "--auth-local=trust", "--auth-host=reject", *([] if durable else ["--no-sync"]),
            cwd=data.parent, seconds=_CREATE_SECONDS,
        )  # fmt: skip
        fresh.rename(data)
