"""Python processes that begin with their imports done, forked from one that has imported them.

Two thirds of what a start of ours costs are imports. A process from here is what Popen starts by
``python -m module``, but for `/proc/PID/cmdline` and its parent: who asked for it is told its end
through a pipe.

The server, ``python -m tests.servers.warm_python FD MODULE ...``, imports the modules, and forks a
process for each request that comes over the socket FD.
"""

import array
import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import select
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATH = f"{ROOT / 'kernel'}:{ROOT}"

_WARMED = {
    "sereno": (
        *("importlib.metadata", "sereno.client", "sereno.cli", "sereno.cli.check"),
        *("sereno.cli.jobs", "sereno.cli.migrate", "sereno.cli.run", "sereno.cli.show"),
        "sereno.cli.trigger",
        *("sereno_cleanup", "sereno_console", "sereno_etl_ivr", "sereno_notify", "sereno_reports"),
    ),
    "tests.faults.chaos.node": (
        *("importlib.metadata", "sereno.app", "sereno.engine.event_loop", "uvloop"),
        "tests.faults.chaos.plugin",
    ),
    "tests.faults.asker": ("asyncpg", "psycopg"),
}
"""By the module that is run: what it imports in most processes of the tests."""

_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "OPENSSL_", "SSL_", "UV_")
"""What the interpreter and libraries read of the environment as a process starts: a process that
has it otherwise than the server cannot be forked from that."""

_IMPORTED = {name.partition(".")[0] for names in _WARMED.values() for name in ("tests", *names)}
_IMPORTED.add("sitecustomize.py")
"""What a process has imported before it looks at its PYTHONPATH."""

_UNDERSTOOD = frozenset({"cwd", "env", "stderr", "stdin", "stdout", "text"})
"""The options of Popen that a warm process heeds."""

_NUMBER = struct.Struct("i")


def python_process(command: Sequence[str], **how: Any) -> subprocess.Popen[Any]:
    """Start ``[sys.executable, "-m", module, ...]``, warm if that can be; `how`: as for Popen."""
    known = command[:2] == [sys.executable, "-m"] and command[2] in _WARMED
    warm = known and how.keys() <= _UNDERSTOOD and _fits(how.get("env") or dict(os.environ))
    return (_WarmProcess if warm else subprocess.Popen)(command, **how)


def python_run(command: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end, as `python_process` starts it, and return what it said."""
    pipe = subprocess.PIPE
    with python_process(command, stdout=pipe, stderr=pipe, text=True, **how) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


class _WarmProcess(subprocess.Popen[Any]):
    """Begins and ends otherwise than its base: all else is as there."""

    def _execute_child(self, args: list[str], *rest: Any) -> None:
        cwd, env, stdio = rest[4], rest[5], rest[9:15]
        self._told, telling = os.pipe()
        asked = {
            "module": args[2],
            "argv": args[3:],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(env or os.environ),
        }
        ends = [own if own >= 0 else n for n, own in enumerate((stdio[0], stdio[3], stdio[5]))]
        rights = array.array("i", [telling, *ends])
        try:
            _server(args[2]).sendmsg(
                [json.dumps(asked).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            )
        finally:
            os.close(telling)
            self._close_pipe_fds(*stdio)
        self.pid = self._next_number()
        self._child_created = True

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        return self.returncode if self._over(0) else None

    def _wait(self, timeout: float | None) -> int:
        if not self._over(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return int(self.returncode)

    def _over(self, timeout: float | None) -> bool:
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._told, select.POLLIN)
            if not waiting.poll(None if timeout is None else timeout * 1000):
                return False
            self.returncode = os.waitstatus_to_exitcode(self._next_number())
            os.close(self._told)
        return True

    def _next_number(self) -> int:
        found = os.read(self._told, _NUMBER.size)
        if not found:
            raise OSError("the process that forks the others is gone")
        return int(_NUMBER.unpack(found)[0])


def _fits(env: dict[str, str]) -> bool:
    """Whether a process with this environment can be forked from one with that of the tests."""
    differing = {name for name, _ in env.items() ^ _environment().items()} - {"PYTHONPATH"}
    if any(name.startswith(_AT_START) for name in differing):
        return False
    others = set(env.get("PYTHONPATH", PATH).split(os.pathsep)) - set(PATH.split(os.pathsep))
    return not any(Path(other, name).exists() for other in others for name in _IMPORTED)


@functools.cache
def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": PATH}


@functools.cache
def _server(module: str) -> socket.socket:
    """Start the server whose processes run a module."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(its.fileno()), *_WARMED[module]],
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=_environment(),
            pass_fds=[its.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each request, and return it in the child; ends where nobody is left to ask."""
    children: dict[int, tuple[int, int]] = {}  # by pidfd: the pid, and where its end is told
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd != control.fileno():
                    selector.unregister(key.fd)
                    pid, telling = children.pop(key.fd)
                    _tell(telling, os.waitpid(pid, 0)[1])
                    os.close(telling)
                    os.close(key.fd)
                    continue
                asked, fds, _, _ = socket.recv_fds(control, 1 << 20, 4)
                if not asked:
                    sys.exit()
                telling, *stdio = fds
                pid = os.fork()
                if pid == 0:
                    for one, (_, other) in children.items():
                        os.close(one)
                        os.close(other)
                    os.close(telling)
                    control.close()
                    for standard, own in enumerate(stdio):
                        os.dup2(own, standard)
                        os.close(own)
                    found: dict[str, Any] = json.loads(asked)
                    return found
                for own in stdio:
                    os.close(own)
                _tell(telling, pid)
                watched = os.pidfd_open(pid)
                children[watched] = (pid, telling)
                selector.register(watched, selectors.EVENT_READ)


def _tell(telling: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it
        os.write(telling, _NUMBER.pack(number))


def _open_streams() -> None:
    """Have Python's streams be what it makes for these descriptors: the server's were others."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        found = open(  # noqa: SIM115 - for as long as the process
            number,
            "w" if number else "r",
            buffering=1 if number == 2 or os.isatty(number) else -1,
            encoding=before.encoding,
            errors=before.errors,
            closefd=False,
        )
        setattr(sys, name, found)
        setattr(sys, f"__{name}__", found)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child copies no page of theirs
    asked = _serve(control)
    _open_streams()
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    path = os.environ.get("PYTHONPATH", PATH)
    sys.path[: 1 + len(PATH.split(os.pathsep))] = [asked["cwd"], *path.split(os.pathsep)]
    sys.argv[1:] = asked["argv"]
    sys.orig_argv[1:] = ["-m", asked["module"], *asked["argv"]]
    time.tzset()
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
