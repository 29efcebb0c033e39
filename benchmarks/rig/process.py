"""What a process takes: processor seconds, memory."""

import contextlib
import os
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds of a process' threads that live, as finely as it is told."""
    total = 0.0
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += float((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def family_cpu_seconds(pid: int) -> float:
    """Return the processor seconds of a server and of its sessions, those that have ended too."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, stat[11:15] if one == pid else stat[11:13]))
    return ticks / _TICK


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
            found += map(int, children)
    return found


def memory_mb(pid: int) -> tuple[float, float]:
    """Return RSS and PSS in MB."""
    return _kb(pid, "status", "VmRSS:") / 1024, _kb(pid, "smaps_rollup", "Pss:") / 1024


def major_faults(pid: int) -> int:
    """Return how often the process has waited for a page of its own to come from the disk.

    A host that takes idle memory away makes whoever wakes up wait: no figure of a program that
    mostly sleeps can be read without this one.
    """
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[9])
    return 0


def _kb(pid: int, file: str, key: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(key):
            return float(line.split()[1])
    raise KeyError(key)


def machine_cpu_seconds() -> float:
    """Return the processor seconds of everything on the machine."""
    user, nice, system, _idle, _wait, irq, soft, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + soft) / _TICK


def wait_for_calm(share: float = 0.1, patience: float = 10.0) -> float:
    """Wait until less than `share` of the processors was busy for a second; return the last share.

    Gives up after `patience` seconds: the share is kept with the run, so that it can be judged.
    """
    end = time.monotonic() + patience
    while True:
        used, began = machine_cpu_seconds(), time.monotonic()
        time.sleep(1.0)
        passed = (time.monotonic() - began) * (os.cpu_count() or 1)
        busy = (machine_cpu_seconds() - used) / passed
        if busy < share or time.monotonic() > end:
            return busy
