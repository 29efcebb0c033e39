"""How fast a Django program enqueues tasks: this backend beside django-tasks' own database backend.

    .venv/bin/python benchmarks/django_enqueue.py [--calls 2000] [--repeat 3]

One process, one connection of Django's, each call committed on its own, and the same in one
transaction; nobody works on the queue. The other backend is the package django-tasks-db, of the
same version as django-tasks: where it is not installed, that is said and this one is measured.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict
from tests.servers.waiting import wait_until

from benchmarks.rig.server import BenchServer
from sereno import Sereno

BACKENDS = {
    "sereno": "sereno_django.SerenoBackend",
    "django-tasks-db": "django_tasks_db.DatabaseBackend",
}


def prepared(dsn: str, names: list[str]) -> Any:
    """Set Django up, with a backend of each name, and both kinds of tables; return the task."""
    found = conninfo_to_dict(dsn)
    entry = {"ENGINE": "django.db.backends.postgresql", "NAME": found["dbname"]}
    for name, key in {"HOST": "host", "PORT": "port", "USER": "user"}.items():
        entry[name] = str(found.get(key, ""))
    settings.configure(
        DATABASES={"default": entry},
        USE_TZ=True,
        INSTALLED_APPS=["django_tasks", *(["django_tasks_db"] if len(names) > 1 else [])],
        TASKS={name: {"BACKEND": BACKENDS[name]} for name in names},
    )
    settings.TASKS["default"] = settings.TASKS["sereno"]
    django.setup()
    from django.core.management import call_command
    from django_tasks import task

    call_command("migrate", verbosity=0)
    made = globals()["nothing"] = task(nothing)  # the other backend looks it up by its path
    return made


def nothing(number: int) -> None:
    """Be a task."""


def measured(task: Any, name: str, calls: int, whole: bool) -> float:
    """Return calls a second; `whole`: in one transaction."""
    from contextlib import nullcontext

    from django.db import transaction

    chosen = task.using(backend=name)
    for number in range(50):
        chosen.enqueue(number)
    began = time.perf_counter()
    with transaction.atomic() if whole else nullcontext():
        for number in range(calls):
            chosen.enqueue(number)
    return calls / (time.perf_counter() - began)


def registered(dsn: str) -> None:
    """Have a node make the schema and register the plugin's jobs, and stop."""
    import psycopg

    from sereno_django.task_job import run_async_task, run_task

    given = {"database_url": dsn, "lease": "2s"}
    there = "SELECT count(*) = 2 FROM sereno.job WHERE name LIKE 'django.%'"
    with (
        Sereno(given, plugins=[run_task, run_async_task], entry_points=False),
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        wait_until(lambda: connection.execute(there).fetchone() == (True,), "the jobs")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    names = ["sereno"]
    if importlib.util.find_spec("django_tasks_db") is not None:
        names.append("django-tasks-db")
    else:
        print("django-tasks-db is not installed: `pip install --no-deps django-tasks-db==0.12.0`")
    with BenchServer() as server, server.database() as dsn:
        task = prepared(dsn, names)
        registered(dsn)
        figures: dict[tuple[str, bool], list[float]] = {}
        for _ in range(options.repeat):
            for whole in (False, True):
                for name in names:  # side by side, in one run
                    found = measured(task, name, options.calls, whole)
                    figures.setdefault((name, whole), []).append(found)
    print(f"{'backend':<18}{'calls/s':>10}{'in one transaction':>22}")
    for name in names:
        alone, whole = (statistics.median(figures[name, w]) for w in (False, True))
        print(f"{name:<18}{alone:>10,.0f}{whole:>22,.0f}")


if __name__ == "__main__":
    main()
