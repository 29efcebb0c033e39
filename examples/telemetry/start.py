"""Starts the telemetry service with stand-ins of the outside world, until Ctrl-C.

    python start.py [--port 8000]

The admin: http://127.0.0.1:8000/admin/ (admin, admin). The console: http://127.0.0.1:8001/console/
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from standins import World, outside

from sereno import SerenoError, SyncClient
from sereno.testing import free_port, server_process

HERE = Path(__file__).parent
PREPARE = """
from django.core.management import call_command

call_command("migrate", verbosity=0)
from django.contrib.auth.models import User

if not User.objects.filter(username="admin").exists():
    User.objects.create_superuser("admin", "admin@telemetria.example", "admin")
"""


@contextmanager
def served(environment, port, console, quiet=False):
    """Migrate, make the user, serve the admin, and run two replicas; give the three processes."""
    level = {"SERENO_LOG__LEVEL": "warning"}  # on the terminal; the three files have all of it
    told = {**level, **os.environ, **environment, "DJANGO_SETTINGS_MODULE": "backend.settings"}
    prepare = [sys.executable, "manage.py", "shell", "-v", "0", "-c", PREPARE]
    if subprocess.run(prepare, cwd=HERE, env=told).returncode:
        sys.exit(1)  # which has said why
    with ExitStack() as stack:

        def running(*words, at, **settings):
            command, env = [sys.executable, *words], {**told, **settings}
            made = server_process(command, at, cwd=HERE, env=env, quiet=quiet, wait=False)
            return stack.enter_context(made)

        here, one, other = "http://127.0.0.1", str(free_port()), str(free_port())
        run = ("manage.py", "sereno", "run", "--node-name")
        processes = [
            running(
                *("-m", "gunicorn", "-b", f"127.0.0.1:{port}", "backend.wsgi"),
                at=f"{here}:{port}/admin/login/",
            ),
            running(  # the first replica serves the console, too
                *(*run, "uno", "--http-port", one),
                at=f"{here}:{console}/console/",
                SERENO_APPS__PORT=str(console),
            ),
            running(
                *(*run, "dos", "--http-port", other),
                at=f"{here}:{other}/health",
                SERENO_APPS__ENABLED="false",
            ),
        ]
        for process in processes:
            process.answered()
        yield processes


def main():
    """Serve until Ctrl-C."""
    from sereno.embedded import EmbeddedPostgres

    parser = argparse.ArgumentParser(description="The telemetry service, with stand-ins")
    parser.add_argument("--port", type=int, default=8000, help="the console is at the next one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: all of it ends
    world = World(views=2_000, grows=20)
    with EmbeddedPostgres.temporary() as server, outside(world) as environment:
        environment = {**environment, "DATABASE_URL": server.dsn}
        with served(environment, options.port, options.port + 1) as processes:
            with SyncClient.open(server.dsn, requested_by="start.py") as client:
                client.enqueue("telemetria.sync")  # something to see before the next two minutes
            print(
                f"http://127.0.0.1:{options.port}/admin/ (admin, admin), "
                f"http://127.0.0.1:{options.port + 1}/console/; logs in {HERE / 'logs'}; "
                f"Ctrl-C ends it. For other commands: DATABASE_URL={server.dsn}",
                flush=True,
            )
            sys.exit(processes[0].wait())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except (RuntimeError, SerenoError) as fault:  # a port that is taken, a server that ends early
        sys.exit(str(fault))
