"""``manage.py sereno ...``: the whole command line, with the project's settings under it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sereno import ConfigurationError
from sereno_django.environment import lay_under, variables


class Command(BaseCommand):
    """What stands behind ``sereno`` is the command line's own: ``manage.py sereno --help``."""

    help = "Runs Sereno's command line with this project's settings: manage.py sereno jobs"
    requires_system_checks: ClassVar[list[str]] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Become ``python -m sereno`` with the arguments behind ``sereno``: signals, streams and
        exit code are then its own."""
        environ = self._environ()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, "-m", "sereno", *argv[2:]], environ)  # noqa: S606 - itself

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whatever stands there, for who calls this by ``call_command``."""
        parser.add_argument("words", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command line in a process of its own; raises CommandError where it fails."""
        command = [sys.executable, "-m", "sereno", *options["words"]]
        ended = subprocess.run(  # noqa: S603 - our own command line
            command, env=self._environ(), capture_output=True, text=True, check=False
        )
        self.stdout.write(ended.stdout, ending="")
        self.stderr.write(ended.stderr, ending="")
        if ended.returncode != 0:
            last = (ended.stderr.strip().splitlines() or ["it failed"])[-1]
            raise CommandError(last, returncode=ended.returncode)

    def _environ(self) -> dict[str, str]:
        """Return the environment with the project's settings, and its code in reach."""
        environ = dict(os.environ)
        try:
            found = variables(
                getattr(settings, "SERENO", {}), settings.DATABASES, settings.TIME_ZONE
            )
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=2) from error
        lay_under(environ, found)
        environ.setdefault("DJANGO_SETTINGS_MODULE", settings.SETTINGS_MODULE)
        roots = [str(Path(place or ".").resolve()) for place in sys.path[:1]]
        given = environ.get("PYTHONPATH", "")
        environ["PYTHONPATH"] = os.pathsep.join([*roots, *([given] if given else [])])
        return environ
