"""Each bench runs, small, on a real PostgreSQL: so that none of them rots between two tables."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers.supervised import Supervised
from tests.servers.waiting import wait_until

ROOT = Path(__file__).parents[2]
SMALL = {
    "burst": "--sizes 20 --lead 3",
    "drain": "--sizes 50",
    "enqueue": "--single 5 --bulk 50",
    "latency": "--n 3 --settle 0.5",
    "on_time": "--seconds 3 --settle 1",
    "idle": "--n 20 --seconds 1 --settle 0.5",
    "failover": "--lease 1s --every 1 --before 2 --freeze 2 --after 5",
    "scale": "--schedules 20 --runs 100 --seconds 1 --settle 0.5 --asks 1",
    "apps": "--seconds 3 --settle 1 --rate 5",
    "console": "--runs 2000 --schedules 50 --asks 1 --seconds 2 --settle 0.5 --warm 2 --rate 10",
    "bulk": "--runs 10000 --seconds 2 --settle 0.5",
    "memory": "--runs 200 --step 100 --settle 0.5",
}
LONG = pytest.mark.long(
    "tests/integration/test_benchmarks.py::test_a_bench_measures_every_variant_and_loses_nothing"
)
QUICK = ("burst", "drain")
PAGE = "before\n<!-- bench drain -->\nan old table\n<!-- end -->\nafter\n"


def bench(name: str, arguments: str, results: Path) -> "subprocess.CompletedProcess[str]":
    program = ROOT / "benchmarks" / f"{name}.py"
    command = [
        sys.executable,
        str(program),
        *arguments.split(),
        "--calm=0",
        "--results",
        str(results),
    ]
    # In memory, at the durability that benches have: nobody asks here how fast a disk is.
    told = {"TMPDIR": str(Supervised.within)} if Supervised.within else {}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, env=os.environ | told
    )


def runs(results: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in results.read_text().splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else LONG) for name in SMALL]
)
def test_a_bench_measures_every_variant_and_loses_nothing(name: str, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"

    ended = bench(name, f"{SMALL[name]} --repeat 1", results)

    assert ended.returncode == 0, ended.stderr
    assert "| **Sereno** |" in ended.stdout
    for result in runs(results):
        figures = result.get("figures")
        assert isinstance(figures, dict), result
        assert figures
        assert figures.get("lost", 0) == figures.get("doubled", 0) == 0


@LONG
@pytest.mark.timeout(300)
def test_a_burst_that_was_due_before_the_replica_was_ready_is_made_again(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"

    ended = bench("burst", "--sizes 20 --repeat 1 --lead 0.2 --lead-each 0", results)

    assert ended.returncode == 0, ended.stderr
    [result] = runs(results)
    figures = result["figures"]
    assert isinstance(figures, dict)
    assert figures["margin"] >= 0.5
    assert figures["lost"] == 0


@pytest.mark.timeout(300)
def test_no_replica_outlives_a_bench_that_is_killed(tmp_path: Path) -> None:
    program = ROOT / "benchmarks" / "on_time.py"
    arguments = ["--seconds", "600", "--calm=0", "--results", str(tmp_path / "results.jsonl")]
    killed = subprocess.Popen([sys.executable, str(program), *arguments])
    try:
        wait_until(lambda: replicas_of(killed.pid), "the bench to start a replica", 120)
        replicas = replicas_of(killed.pid)
    finally:
        killed.kill()
        killed.wait()

    wait_until(lambda: not any(map(lives, replicas)), "its replica to end", 60)


def replicas_of(pid: int) -> list[Path]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    places = [Path("/proc", child) for child in children]
    return [place for place in places if lives(place)]


def lives(place: Path) -> bool:
    """Tell whether it is a replica, and not over: whoever adopts the orphan may be slow to take it
    from the list of processes, and other children of a bench end while they are looked at."""
    try:
        return b"adapt_sereno" in (place / "cmdline").read_bytes()
    except OSError:
        return False


def test_a_table_goes_between_its_markers_with_the_older_runs_on_demand(tmp_path: Path) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results.jsonl"
    page.write_text(PAGE)

    for _ in range(2):
        arguments = f"--sizes 20 --repeat 1 --add --write --page {page}"
        ended = bench("drain", arguments, results)
        assert ended.returncode == 0, ended.stderr

    text = page.read_text()
    assert text.startswith("before\n<!-- bench drain -->\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "an old table" not in text
    assert "\n    .venv/bin/python benchmarks/drain.py --sizes 20 --calm=0 --repeat 2\n" in text
    assert "Medians of 2" in text


@LONG
@pytest.mark.timeout(300)
def test_the_bench_of_cleanup_deletes_what_it_says() -> None:
    program = ROOT / "benchmarks" / "cleanup.py"
    small = (
        "--rows 3000 --expired 1000 --sessions 500 --files 50 --warm 0.1 --calm 0.2 --window 0.4"
    )
    command = [sys.executable, str(program), *small.split()]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)

    assert ended.returncode == 0, ended.stderr
    found = [line.split(" | ") for line in ended.stdout.splitlines()]
    deleted = {row[0]: row[1] for row in found if len(row) == 7}
    ways = ("| cleanup.tables", "| the same, without rest", "| one plain DELETE")
    assert all(int(deleted[way].replace(",", "")) >= 1000 for way in ways), deleted


def test_a_page_without_the_markers_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")

    ended = bench("drain", f"--sizes 20 --repeat 1 --write --page {page}", tmp_path / "r.jsonl")

    assert ended.returncode != 0
    assert "has no line '<!-- bench drain -->'" in ended.stderr
    assert page.read_text() == "nothing\n"


def test_a_peer_that_takes_no_part_is_refused_before_anything_runs(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"

    ended = bench("drain", "--peers nobody", results)

    assert ended.returncode == 2
    assert "'nobody' takes no part in drain; choose from sereno, ap3" in ended.stderr
    assert not results.exists()
