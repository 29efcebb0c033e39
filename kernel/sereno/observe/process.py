"""What the operating system says of this process, under the names that every exporter uses."""

import os
import resource
import sys
import time
from pathlib import Path

from sereno.observe.memory import memory_limit

_STATM = Path("/proc/self/statm")
_FILES = Path("/proc/self/fd")
_MEANINGS = {
    "process_cpu_seconds_total": "Processor time that this process has used.",
    "process_start_time_seconds": "When this process began to count.",
    "process_resident_memory_bytes": "Memory that this process holds.",
    "process_open_fds": "Files and sockets that this process has open.",
    "sereno_memory_limit_bytes": "Memory that this process may hold, by its groups or the machine.",
    "process_max_fds": "Files and sockets that this process may have open.",
}
PROCESS_NAMES = frozenset(_MEANINGS)

_STARTED_AT = time.time()


def process_figures() -> list[tuple[str, str, float]]:
    """Return name, meaning and value of each figure that this system gives."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "process_cpu_seconds_total": usage.ru_utime + usage.ru_stime,
        "process_start_time_seconds": round(_STARTED_AT, 3),
    }
    try:
        pages = int(_STATM.read_text().split()[1])
        figures["process_resident_memory_bytes"] = pages * resource.getpagesize()
        figures["process_open_fds"] = len(os.listdir(_FILES))
        figures["process_max_fds"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (OSError, ValueError, IndexError):  # no /proc: macOS tells the peak alone
        figures["process_resident_memory_bytes"] = usage.ru_maxrss * (
            1 if sys.platform == "darwin" else 1024
        )
    if (limit := memory_limit()) is not None:
        figures["sereno_memory_limit_bytes"] = limit
    return [(name, _MEANINGS[name], value) for name, value in figures.items()]
