"""A server of one's own runs for as long as a block lasts; what goes wrong is a sentence."""

import socket
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from sereno.testing import free_port, server_process


def test_it_answers_within_the_block_and_is_gone_behind_it(tmp_path: Path) -> None:
    (tmp_path / "a b").write_text("ñ")
    port = free_port()
    command = [sys.executable, "-S", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    address = f"http://127.0.0.1:{port}/nothing?here"  # an answer of 404 is one
    with server_process(command, address, cwd=tmp_path, quiet=True) as process:
        with urlopen(f"http://127.0.0.1:{port}/a%20b", timeout=30) as page:
            assert page.read() == "ñ".encode()
        assert process.poll() is None
    assert process.poll() is not None


def test_a_port_that_is_taken_starts_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(RuntimeError, match=f"^port {port} is taken by another program: "),
            server_process(["touch", str(made)], f"http://127.0.0.1:{port}"),
        ):
            pass
    assert not made.exists()


def test_one_that_ends_or_says_nothing_is_told() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with (
        pytest.raises(RuntimeError, match=r"^'sh -c 'exit 3'' ended with 3, unanswered$"),
        server_process(["sh", "-c", "exit 3"], address),
    ):
        pass
    with (
        pytest.raises(RuntimeError, match=r"^'sleep 60' did not answer within 0.1 s$"),
        server_process(["sleep", "60"], address, wait=False) as process,
    ):
        process.answered(within=0.1)
    assert process.poll() is not None
