"""What the operating system says of the process in which a run works, in one line."""

import os
from pathlib import Path

_PROC = Path("/proc")
_MB = 1024


def process_line(pid: int, proc: Path = _PROC) -> str:
    """Return memory, processor time and threads of a process; empty where this system tells
    nothing of it."""
    try:
        status = dict(
            line.split(":", 1)
            for line in (proc / str(pid) / "status").read_text("utf-8", "replace").splitlines()
            if ":" in line
        )
        # The name of the program may hold anything; what is counted from stands behind its end.
        words = (proc / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        used = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        now, most = (int(status[name].split()[0]) / _MB for name in ("VmRSS", "VmHWM"))
        threads = int(status["Threads"])
    except (OSError, KeyError, ValueError, IndexError):
        return ""
    whose = "its node's, with all that runs there" if pid == os.getpid() else "its own"
    return (
        f"process {pid} ({whose}): memory {now:.1f} MB, {most:.1f} MB at most; "
        f"processor {used:.1f} s; {threads} threads\n"
    )
