"""``sereno demo`` as a newcomer meets it: what its banner names works, and it leaves nothing."""

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from sereno.cli.program import spoken_program

from ..servers.waiting import wait_until
from .cli_scene import Scene, scene

__all__ = ["scene"]

DEMO = ("demo", "--http-port", "0", "--log-format", "text")


def banner(process: subprocess.Popen[str]) -> list[str]:
    """Read what a demonstration says there is to see."""
    assert process.stdout is not None
    assert process.stdout.readline() == "\n"
    return list(iter(process.stdout.readline, "\n"))


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """Read the log up to a line with `words`."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"the log ended without {words!r}")


def test_the_banner_begins_with_the_console_and_the_page_and_what_it_names_works(
    scene: Scene,
) -> None:
    with scene.started(*DEMO, "--node-name", "blue-1") as process:
        said = banner(process)
        assert re.match(r"console +http://127.0.0.1:\d+/console/$", said[0])
        assert any(re.match(r"page +http://127.0.0.1:\d+/$", line) for line in said)
        assert any(f"kill -9 {process.pid}" in line for line in said)
        line_with(process, "leading")
        wait_until(lambda: scene.json("jobs"), "the jobs")
        named = [re.search(f"{re.escape(spoken_program())} ([^(]+)", line) for line in said]
        commands = [found[1].split() for found in named if found and "demo" not in found[1]]
        assert {command[0] for command in commands} == {"jobs", "pause", "verify"}
        for command in commands:
            assert scene.call(*command).exit_code == 0
        process.send_signal(signal.SIGTERM)
        assert "stopped" in line_with(process, "stopped")
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_standby_says_who_leads_and_leads_when_that_one_is_killed(scene: Scene) -> None:
    with (
        scene.started(*DEMO, "--node-name", "blue-1") as first,
        scene.started(*DEMO, "--node-name", "green-2") as second,
    ):
        lines = [line_with(first, "lead"), line_with(second, "lead")]
        standby = next(line for line in lines if "standing by" in line)
        leading = next(line for line in lines if line is not standby)
        killed, left = (first, second) if leading is lines[0] else (second, first)
        assert "leading" in leading
        assert f"leader={'blue-1' if killed is first else 'green-2'}" in standby
        killed.kill()
        line_with(left, "leading")


def test_what_a_killed_demonstration_left_is_removed_by_the_next(scene: Scene) -> None:
    def place(process: subprocess.Popen[str]) -> Path:
        return Path(tempfile.gettempdir()) / f"sereno-demo-{process.pid}"

    with scene.started(*DEMO) as killed:
        wait_until(lambda: place(killed).is_dir(), "its directory")
        killed.kill()
        killed.communicate()
    other = Path(tempfile.gettempdir()) / f"sereno-demo-{os.getpid()}"
    other.mkdir()
    try:
        with scene.started(*DEMO) as following:
            wait_until(lambda: not place(killed).exists(), "the directory to be gone")
            assert other.is_dir(), "its process lives"
            wait_until(lambda: place(following).is_dir(), "its own directory")
            following.send_signal(signal.SIGTERM)
            following.communicate(timeout=30)
        assert not place(following).exists()
    finally:
        other.rmdir()


def test_a_demonstration_keeps_out_of_a_cluster_unless_it_is_told_to_join(scene: Scene) -> None:
    scene.job()
    scene.sql(
        "INSERT INTO sereno.node (id, label, pid, version)"
        " VALUES (gen_random_uuid(), 'prod-1', 1, '0.1.0')"
    )
    scene.sql("INSERT INTO sereno.term (term, node) SELECT 1, id FROM sereno.node")
    scene.sql("UPDATE sereno.leadership SET term = 1, node = (SELECT id FROM sereno.node)")
    refused = scene.call(*DEMO)
    assert refused.exit_code == 2
    assert "this database belongs to a cluster: replica 'prod-1' led it at" in refused.output
    assert scene.sql("SELECT count(*) FROM sereno.node") == [(1,)]
    with scene.started(*DEMO, "--yes") as process:
        line_with(process, "leading")
    scene.sql("UPDATE sereno.term SET ended_at = now() - interval '2 days' WHERE term = 1")
    with scene.started(*DEMO) as process:  # after another demonstration
        line_with(process, "leading")
