"""Starts the student service with stand-ins of the outside world, until Ctrl-C.

    python start.py [--port 8000]

Pages: http://127.0.0.1:8000/admin/ (admin, admin), the console: http://127.0.0.1:8001/console/
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psycopg
from standins import World, outside

from sereno import SerenoError, SyncClient
from sereno.testing import server_process

HERE = Path(__file__).parent
PREPARE = """
from django.core.management import call_command

call_command("migrate", verbosity=0)
from django.contrib.auth.models import User

if not User.objects.filter(username="admin").exists():
    User.objects.create_superuser("admin", "admin@lucy.example", "admin")
"""


@contextmanager
def served(environment, port, quiet=False):
    """Migrate, make the user, and serve; give the process."""
    told = {**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "lucy.settings"}
    prepare = [sys.executable, "manage.py", "shell", "-v", "0", "-c", PREPARE]
    if subprocess.run(prepare, cwd=HERE, env=told).returncode:
        sys.exit(1)  # which has said why
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "lucy.wsgi"]
    address = f"http://127.0.0.1:{port}/admin/login/"
    with server_process(command, address, cwd=HERE, env=told, quiet=quiet) as process:
        yield process


@contextmanager
def console(environment, port):
    """Serve the console of the same database, from a process of its own."""
    command = [sys.executable, "manage.py", "sereno", "apps", "--port", str(port)]
    told = {**os.environ, **environment}
    with server_process(command, f"http://127.0.0.1:{port}/console/", cwd=HERE, env=told):
        yield


def something_to_see(database):
    """Open the first window for a month, as the office does in Configuración, and ingest."""
    opened = (
        "INSERT INTO alumnos_configuracion (preinscriptos_dia_inicio, preinscriptos_dia_fin)"
        " VALUES (now() - interval '1 hour', now() + interval '30 days')"
    )
    with psycopg.connect(database) as connection:
        connection.execute(opened)
    with SyncClient.open(database, requested_by="start.py") as client:
        client.wait(client.enqueue("alumnos.tasks.ingestar_preinscriptos"), timeout="1m")


def main():
    """Serve until Ctrl-C."""
    from sereno.embedded import EmbeddedPostgres

    parser = argparse.ArgumentParser(description="The student service, with stand-ins")
    parser.add_argument("--port", type=int, default=8000, help="the console is at the next one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: all of it ends
    with EmbeddedPostgres.temporary() as server, outside(World()) as environment:
        environment = {**environment, "DATABASE_URL": server.dsn}
        with (
            served(environment, options.port) as process,
            console(environment, options.port + 1),
        ):
            something_to_see(server.dsn)
            print(
                f"http://127.0.0.1:{options.port}/admin/ (admin, admin), "
                f"http://127.0.0.1:{options.port + 1}/console/; Ctrl-C ends it. "
                f"For other commands: DATABASE_URL={server.dsn}",
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
