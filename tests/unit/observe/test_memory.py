"""How much memory a process may hold, by whatever its system says."""

import os
from pathlib import Path

import pytest

from sereno.observe.memory import memory_limit
from sereno.observe.process import process_figures

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "4096"}, 4096),
        ("0::/a/b\n", {"a/memory.max": "8192", "a/b/memory.max": "max"}, 8192),
        ("0::/a/b\n", {"a/memory.max": "8192", "a/b/memory.max": "4096\n"}, 4096),
        ("4:memory:/docker/1\n0::/\n", {"memory/memory.limit_in_bytes": "4096"}, 4096),
        ("0::/../../x\n", {"x/memory.max": "4096"}, MACHINE),
        ("0::/a\n", {"a/memory.max": "9223372036854771712"}, MACHINE),
        ("0::/a\n", {"a/memory.max": "no number"}, MACHINE),
        ("0::/a\n", {}, MACHINE),
        (None, {}, MACHINE),
    ],
)
def test_the_least_limit_counts(
    own: str | None, files: dict[str, str], limit: int, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    if own is not None:
        (tmp_path / "own").write_text(own)

    assert memory_limit(tmp_path, tmp_path / "own") == limit


def test_a_process_holds_less_than_it_may() -> None:
    figures = {name: value for name, _, value in process_figures()}

    assert 0 < figures["process_resident_memory_bytes"] < figures["sereno_memory_limit_bytes"]
