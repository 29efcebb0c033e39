"""A program that runs a node, and goes on when it is over: it gets back what the node has taken."""

import subprocess
import sys

PROGRAM = """
import asyncio, gc, logging, os, signal, sys, threading
from types import SimpleNamespace
from sereno import hookimpl
from sereno.app import serve
from sereno.settings import load_settings

collected_at = gc.get_threshold()
NAMES = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

def node(dsn, **options):
    @hookimpl
    async def sereno_on_leader_changed(event):
        if event.leading:
            os.kill(os.getpid(), signal.SIGTERM)

    plugin = SimpleNamespace(sereno_on_leader_changed=sereno_on_leader_changed)
    environment = {"SERENO_DATABASE_URL": dsn, "SERENO_HTTP__PORT": "0"}
    settings = load_settings(file=None, environ=environment, flags={})
    return asyncio.run(
        serve(settings, extra=[("once", plugin)], entry_points=False, **options)
    )
"""

GOES_ON = (
    PROGRAM
    + """
before = [signal.getsignal(n) for n in NAMES]
for _ in range(2):
    assert node(sys.argv[1], ends_process=False) == 0
    logging.getLogger().setLevel(logging.ERROR)
    assert logging.getLogger().level == logging.ERROR
assert [signal.getsignal(n) for n in NAMES] == before
for thread in threading.enumerate():
    if thread.name == "sereno departure":
        thread.join(20)
        assert not thread.is_alive(), "it would end this process"
assert gc.get_threshold() == collected_at and not gc.get_freeze_count()
print("printed as it stands")
"""
)

ENDS = (
    PROGRAM
    + """
node(sys.argv[1])
assert gc.get_threshold()[0] > collected_at[0] and gc.get_freeze_count()
print("spared")
"""
)


def test_a_process_that_outlives_its_nodes_gets_back_what_they_have_taken(database: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GOES_ON, database], capture_output=True, text=True, timeout=55
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "printed as it stands\n"
    stopped = [line for line in ended.stderr.splitlines() if '"event":"stopped"' in line]
    assert len(stopped) == 2  # each node's, once


def test_the_process_of_a_node_looks_for_garbage_more_seldom(database: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS, database], capture_output=True, text=True, timeout=55
    )

    assert ended.stdout == "spared\n", ended.stderr
