"""prometheus_client is there whole for who asks for it, and its servers for nobody else."""

import subprocess
import sys

import pytest

BEGIN = "import sys; from sereno.observe import client_library as ours\n"
SERVERS = '[m for m in ("http.server", "wsgiref", "urllib.request") if m in sys.modules]\n'


def ran(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "program",
    [
        BEGIN,
        BEGIN + "import prometheus_client\n",
        BEGIN + "from prometheus_client.core import Counter\n",
        BEGIN + "from prometheus_client import registry, metrics\n",
    ],
)
def test_the_registry_and_the_metrics_alone_load_no_server(program: str) -> None:
    assert ran(f"{program}print({SERVERS[:-1]})") == "[]"


@pytest.mark.parametrize(
    "asked",
    [
        "from prometheus_client import Counter, REGISTRY, make_wsgi_app, push_to_gateway",
        "import prometheus_client as p; Counter, REGISTRY = p.Counter, p.REGISTRY; p.exposition",
        "from prometheus_client import *; import prometheus_client.exposition",
        "import prometheus_client.exposition; from prometheus_client import Counter, REGISTRY",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_who_asks_the_package_has_all_of_it_and_the_same_registry(asked: str, first: bool) -> None:
    steps = [asked + "\n", BEGIN] if first else [BEGIN, asked + "\n"]
    program = "".join(steps) + (
        "assert (Counter, REGISTRY) == (ours.Counter, ours.REGISTRY)\n"
        f"assert len({SERVERS[:-1]}) == 3\n"
        "import prometheus_client, importlib\n"
        "print(type(prometheus_client).__name__, len(prometheus_client.__all__) > 20)\n"
    )
    assert ran(program) == "module True"


def test_a_name_that_the_package_does_not_have_is_missed_as_ever() -> None:
    program = (
        BEGIN + "import prometheus_client\n"
        "try: prometheus_client.nothing\n"
        "except AttributeError as error: print(error)\n"
        "try: from prometheus_client import neither\n"
        "except ImportError as error: print(type(error).__name__)\n"
    )
    assert ran(program).split("\n") == [
        "module 'prometheus_client' has no attribute 'nothing'",
        "ImportError",
    ]


def test_threads_that_ask_at_once_all_get_it() -> None:
    program = BEGIN + (
        "import prometheus_client, threading\n"
        "found, gate = [], threading.Barrier(8)\n"
        "def ask():\n"
        "    gate.wait(); found.append(prometheus_client.Histogram)\n"
        "threads = [threading.Thread(target=ask) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(len(found), len(set(found)))\n"
    )
    assert ran(program) == "8 1"
