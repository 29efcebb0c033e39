"""Starts the metadata service in two processes, with stand-ins of what is outside, until Ctrl-C.

    python start.py [--port 8000]

Pages: http://127.0.0.1:8000/ (the console: ana, ana).
"""

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from metadatos.app import create_app
from metadatos.stand_ins import World, outside

from sereno import SerenoError, SyncClient
from sereno.testing import server_process

HERE = Path(__file__).parent


@contextmanager
def served(environment, port, workers=2, quiet=False):
    """Serve with so many processes; give the one that starts them."""
    command = [sys.executable, "-m", "uvicorn", "metadatos.app:create_app", "--factory"]
    command += ["--port", str(port), "--workers", str(workers), "--log-level", "warning"]
    command += ["--timeout-graceful-shutdown", "3"]  # an open page of the console ends no sooner
    told = {**os.environ, **environment}
    address = f"http://127.0.0.1:{port}/"
    with server_process(command, address, cwd=HERE, env=told, quiet=quiet) as process:
        yield process


def something_to_see(port, database):
    """Have a few questions asked, and the caches cleaned: the next hour may be far away."""
    for number in range(60):
        urlopen(f"http://127.0.0.1:{port}/metadata/libro-{number % 25}", timeout=30).close()
    with SyncClient.open(database, requested_by="start.py") as client:
        client.enqueue("cache.cleanup")


def main():
    """Serve until Ctrl-C."""
    from sereno.embedded import EmbeddedPostgres

    parser = argparse.ArgumentParser(description="The metadata service, with stand-ins")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: all of it ends
    with EmbeddedPostgres.temporary() as server, outside(World()) as environment:
        environment = {
            **environment,
            "POSTGRES_DSN": server.dsn,
            "CONSOLE_USERS": os.environ.get("CONSOLE_USERS", "ana:ana:admin,bruno:bruno:viewer"),
        }
        create_app({**os.environ, **environment})  # else workers would die and be made for ever
        with served(environment, options.port) as process:
            something_to_see(options.port, server.dsn)
            print(
                f"http://127.0.0.1:{options.port}/ (the console: ana, ana); Ctrl-C ends it. "
                f"For other commands: SERENO_DATABASE_URL={server.dsn}",
                flush=True,
            )
            sys.exit(process.wait())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except (RuntimeError, SerenoError) as fault:  # a port that is taken, a variable
        sys.exit(str(fault))
