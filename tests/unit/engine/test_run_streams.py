import contextlib
import io
import sys

import pytest

from sereno.engine.run_streams import (
    give_streams_back,
    put_streams_back,
    replaced_streams,
    take_streams,
)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_process_has_its_own_streams_again_after_its_node(
    replaced: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, sys.stderr
    take_streams(everybody=True)
    try:
        assert (sys.stdout, sys.stderr) != before
        if replaced:
            sys.stdout = io.StringIO()
    finally:
        give_streams_back()

    print("said after the node")

    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "said after the node\n"


def test_a_replaced_stream_is_seen_and_put_back() -> None:
    take_streams(everybody=False)
    try:
        ours = sys.stderr
        with contextlib.redirect_stderr(io.StringIO()):
            assert replaced_streams() == ["stderr"]
            put_streams_back()
            assert sys.stderr is ours
        assert replaced_streams() == []
    finally:
        give_streams_back()
