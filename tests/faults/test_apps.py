"""The process of apps: what it serves, what it survives, and that its node never notices."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..servers.supervised import free_port
from ..servers.waiting import wait_until
from .asking import await_job, state
from .process import KEPT, Process, process

PLUGIN = "tests.faults.apps_plugin"
APPS = {"SERENO_APPS__PORT": "0", "SERENO_APPS__ANSWER_WITHIN": "3s"}

pytestmark = pytest.mark.fault


@pytest.fixture
def replica(database: str, tmp_path: Path) -> Iterator[Process]:
    with process(database, tmp_path, PLUGIN, **APPS) as found:
        yield found


def address(replica: Process, times: int = 1) -> str:
    at: str = replica.said("apps are served", times, 40)["at"]
    return at.rstrip("/")


def asked(url: str, **options: Any) -> httpx.Response:
    return httpx.get(url, timeout=20, **options)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def child_of(replica: Process, times: int = 1) -> int:
    pid: int = asked(f"{address(replica, times)}/console/").json()["pid"]
    return pid


def test_an_app_answers_below_its_mount_in_a_process_of_its_own(replica: Process) -> None:
    base = address(replica)
    facts = asked(f"{base}/console/a%20b/c?x=1").json()

    assert facts["path"] == "/console/a b/c"
    assert facts["raw"] == "/console/a%20b/c"
    assert facts["root_path"] == "/console"
    assert facts["query"] == "x=1"
    assert facts["begun"] == "yes"
    assert facts["pid"] != replica.popen.pid
    assert facts["spared"]  # from the garbage collector: each look at all modules held up a page
    assert asked(f"{base}/console/deep/er").json()["root_path"] == "/console/deep"
    assert asked(f"{base}/consoles").status_code == 404
    moved = asked(f"{base}/console?x=1")
    assert (moved.status_code, moved.headers["location"]) == (307, "/console/?x=1")


def test_the_page_at_the_root_lists_the_apps_and_healthz_says_which_are_served(
    replica: Process,
) -> None:
    base = address(replica)
    page = asked(f"{base}/").text
    assert '<a href="/console/">The console</a>' in page
    assert "Runs &lt;b&gt;over&lt;/b&gt; HTTP" in page
    apps = asked(f"{base}/healthz").json()["apps"]
    assert {mount for mount, app in apps.items() if app["state"] == "failed"} == {
        "/unmade",
        "/exiting",
        "/refusing",
        "/number",
    }
    health = replica.page("/health").json()["apps"]
    assert health == {"url": f"{base}/", "why": None, "restarts": 0}
    assert "sereno_apps_up 1" in replica.page("/metrics").text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/unmade/", 503, "RuntimeError: this factory has no luck"),
        ("/exiting/", 503, "SystemExit: 3"),
        ("/refusing/", 503, "it has no table"),
        ("/number/", 503, "returned 7, no ASGI application"),
        ("/faulty/raise", 500, "failed to answer; the log says why"),
        ("/faulty/never", 504, "has not answered in 3 s"),
        ("/faulty/swallow", 504, "has not answered in 3 s"),
        ("/faulty/memory", 500, "failed to answer; the log says why"),
        ("/nothing", 404, "there is no app at /nothing; there are /api/v1 /console"),
    ],
)
def test_an_app_at_fault_fails_alone_with_a_sentence(
    path: str, status: int, words: str, replica: Process
) -> None:
    base = address(replica)
    answer = asked(f"{base}{path}")

    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]
    assert asked(f"{base}/console/").status_code == 200


def test_an_answer_that_ends_in_its_midst_is_not_taken_for_a_whole_one(replica: Process) -> None:
    base = address(replica)
    with pytest.raises(httpx.RemoteProtocolError):
        asked(f"{base}/faulty/half")
    assert asked(f"{base}/console/").status_code == 200


def test_an_app_works_through_its_client(replica: Process, database: str) -> None:
    base = address(replica)
    await_job(database, "apps.noted")  # apps are served whether or not somebody leads yet
    run = int(asked(f"{base}/api/v1/runs").text)
    wait_until(lambda: state(database, run) == "succeeded", "the run that an app has queued")


def test_a_process_that_dies_is_started_again_told_and_counted(replica: Process) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        asked(f"{address(replica)}/faulty/exit")
    said = replica.said("the process of apps has ended, and is started again")
    assert said["why"] == "it exited with code 7"
    os.kill(child_of(replica, 2), signal.SIGKILL)
    said = replica.said("the process of apps has ended, and is started again", 2)
    assert (said["why"], said["times"]) == ("it was ended by SIGKILL", 2)
    address(replica, 3)

    report = replica.page("/health").json()
    assert report["apps"]["restarts"] == 2
    assert any("the process of apps has ended" in problem for problem in report["problems"])
    assert "sereno_apps_restarts_total 2" in replica.page("/metrics").text


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_process_ends_with_its_node_however_that_ends(
    how: signal.Signals, replica: Process
) -> None:
    child = child_of(replica)
    replica.signal(how)
    replica.end(30)

    wait_until(lambda: not alive(child), "the end of the process of apps")
    ended = "the sound app has ended" in replica.log.read_text()
    assert ended == (how == signal.SIGTERM)


def test_a_process_that_is_frozen_ends_with_its_node_too(replica: Process) -> None:
    child = child_of(replica)
    os.kill(child, signal.SIGSTOP)
    replica.signal(signal.SIGKILL)
    replica.end()
    wait_until(lambda: not alive(child), "the end of the process of apps")


def test_the_process_is_bounded_and_leaves_the_processors_to_its_node(replica: Process) -> None:
    child = child_of(replica)
    stat = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[16]) >= 10  # its nice level
    limits = Path(f"/proc/{child}/limits").read_text().splitlines()
    (data,) = [line for line in limits if line.startswith("Max data size")]
    assert data.split()[3] == str(1024 * 1024 * 1024)
    assert int(Path(f"/proc/{child}/oom_score_adj").read_text()) >= 500


def test_of_two_replicas_on_one_machine_one_serves_and_the_other_takes_over(
    database: str, tmp_path: Path
) -> None:
    port = str(free_port())
    both = APPS | {"SERENO_APPS__PORT": port}
    with process(database, tmp_path, PLUGIN, **both) as first:
        address(first)
        serving = child_of(first)
        with process(database, tmp_path, PLUGIN, **both) as second:
            why = second.said("apps are not served by this node")["why"]
            assert f"port {port}: it is taken by process {serving} (" in why
            health = second.page("/health").json()
            assert health["apps"] == {"url": None, "why": why, "restarts": 0}
            assert not [p for p in health["problems"] if "apps" in p]
            started = Path(f"/proc/{second.popen.pid}/task/{second.popen.pid}/children")
            assert not started.read_text()  # no process imports all plugins to find the port taken
            first.signal(signal.SIGKILL)
            first.end()
            assert address(second) == f"http://127.0.0.1:{port}"


def test_names_that_are_not_this_machines_are_refused(replica: Process) -> None:
    base = address(replica)
    stranger = {"Host": "evil.example"}
    assert asked(f"{base}/console/", headers=stranger).status_code == 421
    assert asked(f"{base}/", headers=stranger).status_code == 421
    assert asked(f"{base}/healthz", headers=stranger).status_code == 200


def test_a_proxy_that_is_trusted_says_who_asks_and_where_the_apps_are(
    database: str, tmp_path: Path
) -> None:
    proxied = APPS | {
        "SERENO_APPS__PATH_PREFIX": "/sereno",
        "SERENO_APPS__HOSTS": '["apps.example"]',
    }
    forwarded = {
        "Host": "apps.example",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
    }
    with process(database, tmp_path, PLUGIN, **proxied) as replica:
        base = address(replica).removesuffix("/sereno")
        for path in (
            "/sereno/console/x",
            "/console/x",
        ):  # as it came, or with the prefix taken away
            facts = asked(f"{base}{path}", headers=forwarded).json()
            assert facts["path"] == "/sereno/console/x"
            assert facts["root_path"] == "/sereno/console"
            assert (facts["client"], facts["scheme"]) == ("203.0.113.9", "https")
        assert 'href="/sereno/console/"' in asked(f"{base}/sereno/", headers=forwarded).text


def test_an_app_that_holds_its_loop_up_costs_its_process_alone(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, PLUGIN, **APPS, **KEPT) as replica:
        base, child = address(replica), child_of(replica)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{base}/faulty/hold", timeout=0.5)
        assert replica.page("/health/liveness").status_code == 200
        said = replica.said("the process of apps has ended, and is started again", 1, 60)
        assert "it gave no sign of life for 30 s: an app held it up" in said["why"]
        assert not alive(child)
        address(replica, 2)
        assert len(replica.lines("leading")) == 1


def test_the_command_serves_the_same_and_stands_for_no_lead(database: str, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    info = tmp_path / "site" / "apps_of_tests-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: apps-of-tests\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[sereno]\napps_of_tests = {PLUGIN}\n")
    with process(database, tmp_path, "", command="migrate") as migrating:
        migrating.end()
    with process(database, tmp_path, "", site=tmp_path / "site", command="apps", **APPS) as serving:
        base = address(serving)
        assert asked(f"{base}/console/").json()["pid"] == serving.popen.pid
        assert serving.lines("leading") == []
        serving.signal(signal.SIGTERM)
        assert serving.end() == 0
    assert "the sound app has ended" in serving.log.read_text()
