"""Starts the call center with stand-ins of the outside world, until Ctrl-C.

    python start.py [--port 8000] [--var DIR]

Pages: http://127.0.0.1:8000/ (admin, admin)
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from sereno import SerenoError, SyncClient
from sereno.testing import server_process

HERE = Path(__file__).parent
PREPARE = """
from django.core.management import call_command

call_command("migrate", verbosity=0)
from django.contrib.auth.models import User

if not User.objects.filter(username="admin").exists():
    User.objects.create_superuser("admin", "admin@callcenter.example", "admin")
"""


@contextmanager
def site(environment, port):
    """Migrate, make the user, and run the server; give its process."""
    told = {**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "callcenter.settings"}
    prepare = [sys.executable, "manage.py", "shell", "-v", "0", "-c", PREPARE]
    if subprocess.run(prepare, cwd=HERE, env=told).returncode:
        sys.exit(1)  # which has said why
    with server(environment, port) as process:
        yield process


@contextmanager
def server(environment, port):
    """Run uvicorn with the application."""
    command = [sys.executable, "-m", "uvicorn", "callcenter.asgi:application", "--port", str(port)]
    command += ["--log-level", "warning"]
    command += ["--timeout-graceful-shutdown", "3"]  # an open page of the console ends no sooner
    told = {**os.environ, "STDERR_LEVEL": "WARNING", **environment}  # the rest is in log/app.log
    with server_process(command, f"http://127.0.0.1:{port}/", cwd=HERE, env=told) as process:
        yield process


def something_to_see(database):
    """Have the exchange's calls fetched, counted and reported: by itself it may be in six hours."""
    with SyncClient.open(database, requested_by="start.py") as client:
        for job in ("etl_ivr.sync.queues", "etl_ivr.sync"):
            client.wait(client.enqueue(job), timeout="2m")
        client.wait_chain(client.enqueue("etl_ivr.aggregate"), timeout="2m")
        client.wait(client.enqueue("reports.daily"), timeout="2m")


def main():
    parser = argparse.ArgumentParser(
        description="The call center, with stand-ins of the outside world"
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--var", type=Path, default=HERE / "var", help="logs, mails, reports, archives"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: all of it ends
    from standins import world

    with world(options.var.resolve()) as environment, site(environment, options.port) as process:
        something_to_see(environment["DATABASE_URL"])
        print(
            f"http://127.0.0.1:{options.port}/  (admin, admin); logs, mails and reports in "
            f"{options.var}; "
            f"Ctrl-C ends it. For other commands: DATABASE_URL={environment['DATABASE_URL']} "
            f"PBX_URL={environment['PBX_URL']}",
            flush=True,
        )
        sys.exit(process.wait())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except (RuntimeError, SerenoError) as fault:  # a port that is taken, a server that ends early
        sys.exit(str(fault))
