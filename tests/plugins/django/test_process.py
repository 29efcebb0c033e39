"""Where a project's node is at work: in who serves requests, and nowhere else."""

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ...faults.process import ROOT
from ...servers.supervised import free_port
from ...servers.waiting import wait_until
from .conftest import PROJECT
from .test_manage import ask, environ, manage

PRESENT = "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = key::oid)"
ALIVE = "SELECT count(*) FROM sereno.node WHERE left_at IS NULL"


@contextmanager
def served(database: str, words: Sequence[str], **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the project, and end it as its operator would."""
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=PROJECT,
        env=environ(database, BOOKSHOP_NODE="yes", **more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        finally:
            process.kill()


SERVERS = {
    "gunicorn": (2, ["-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "bookshop.wsgi"]),
    "uvicorn": (1, ["-m", "uvicorn", "--port", "{port}", "bookshop.asgi:application"]),
}


@pytest.mark.parametrize("server", SERVERS)
def test_each_process_that_serves_has_one_node(server: str, database: str) -> None:
    count, words = SERVERS[server]
    with served(database, [word.format(port=free_port()) for word in words]):
        wait_until(lambda: ask(database, ALIVE) == count, f"{count} nodes")
        done = manage(database, "sereno", "trigger", "bookshop.greet", "--wait")
        assert done.returncode == 0, done.stderr
        assert ask(database, "SELECT count(*) FROM sereno.node") == count
    wait_until(lambda: ask(database, ALIVE) == 0, "no node")


APACHE = """
ServerName localhost
ServerRoot {place}
Listen 127.0.0.1:{port}
PidFile {place}/pid
ErrorLog {place}/errors
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {module}
WSGISocketPrefix {place}/s
WSGIDaemonProcess shop processes=2 threads=2 python-path={project}:{packages}
WSGIScriptAlias / {project}/bookshop/wsgi.py process-group=shop application-group=%{{GLOBAL}}
<Directory {project}>
  Require all granted
</Directory>
"""


def mod_wsgi() -> Path | None:
    """Return Debian's mod_wsgi of this very Python, where tools/test-tools.sh could bring it."""
    name = f"usr/lib/apache2/modules/mod_wsgi.so-{sys.version_info[0]}.{sys.version_info[1]}"
    places = (Path("/"), ROOT / ".sereno/tools/apache")
    return next((place / name for place in places if (place / name).exists()), None)


MODULE = mod_wsgi()

if MODULE is not None:

    def test_each_process_of_mod_wsgi_has_one_node(database: str) -> None:
        assert MODULE is not None
        modules = MODULE.parent
        with tempfile.TemporaryDirectory() as place:
            Path(place).chmod(0o755)  # Apache's processes are nobody's
            given = {"place": place, "port": free_port(), "modules": modules, "module": MODULE}
            packages = sysconfig.get_path("purelib")
            written = APACHE.format(**given, project=PROJECT, packages=packages)
            if os.geteuid() == 0:
                written += "User nobody\nGroup nogroup\n"
            (Path(place) / "conf").write_text(written)
            apache = modules.parents[2] / "sbin/apache2"
            command = [str(apache), "-f", f"{place}/conf", "-DFOREGROUND"]
            with subprocess.Popen(command, env=environ(database, BOOKSHOP_NODE="yes")) as process:
                try:
                    wait_until(lambda: ask(database, ALIVE) == 2, "two nodes")
                    done = manage(database, "sereno", "trigger", "bookshop.greet", "--wait")
                    assert done.returncode == 0, done.stderr
                    assert ask(database, "SELECT count(*) FROM sereno.node") == 2
                finally:
                    process.terminate()
                    process.wait(60)
            wait_until(lambda: ask(database, f"{ALIVE} AND {PRESENT}") == 0, "no node")


def test_what_is_saved_starts_another_node_and_no_second(database: str, tmp_path: Path) -> None:
    watched = tmp_path / "watched.py"
    watched.write_text("")
    words = ["manage.py", "runserver", f"127.0.0.1:{free_port()}"]
    with served(database, words, BOOKSHOP_WATCHED=str(watched)):
        wait_until(lambda: ask(database, ALIVE) == 1, "the node")
        first = ask(database, "SELECT pid FROM sereno.node WHERE left_at IS NULL")
        # What is saved before the files are looked at for the first time is not seen.
        for _ in range(5):
            watched.write_text(watched.read_text() + "\n")
            with suppress(AssertionError):
                wait_until(lambda: ask(database, ALIVE + f" AND pid <> {first}"), "it", 6)
                break
        wait_until(lambda: ask(database, ALIVE) == 1, "one node alone")


def test_no_command_starts_a_node(database: str) -> None:
    for words in (["check"], ["migrate", "--plan"], ["shell", "-c", "import bookshop.models"]):
        assert manage(database, *words, BOOKSHOP_NODE="yes").returncode == 0
    assert ask(database, "SELECT count(*) FROM sereno.node") == 0
