"""What `sereno check` is told of the places where files are swept."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sereno import Finding
from sereno.plugins import ask_checks
from sereno_cleanup import plugin
from sereno_cleanup.settings import LogRule, RotationRule, Settings

HOST = socket.gethostname()


@pytest.fixture
def readable() -> Iterator[Path]:
    """Give a directory, with one in it, that this user may read and not write to."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        (root / "archive").mkdir()
        for place in (root / "archive", root):
            place.chmod(0o555)
        was = os.geteuid()
        if was == 0:  # who may write everywhere
            os.seteuid(65534)
        try:
            yield root
        finally:
            os.seteuid(was)
            root.chmod(0o755)


def found(**settings: Any) -> tuple[Finding, ...]:
    checks = plugin.sereno_register_checks(Settings(**settings))
    (answer,) = ask_checks({"cleanup": checks}, {})
    assert answer.failure is None
    return answer.findings


def faults(findings: tuple[Finding, ...]) -> list[str]:
    return [one.sentence for one in findings if one.fault]


def told(findings: tuple[Finding, ...]) -> str:
    return "\n".join(one.sentence for one in findings)


def test_without_a_rule_for_files_nothing_is_said() -> None:
    assert found() == ()
    rule = LogRule(path="/srv/none/*.log")
    assert found(logs_roots=("/srv/none",), logs=(rule,), logs_enabled=False) == ()


def test_it_says_whose_files_are_swept_host_root_and_rule(tmp_path: Path) -> None:
    logs, turned = f"{tmp_path}/**/*.log", f"{tmp_path}/*.out"
    said = found(
        logs_roots=(str(tmp_path),),
        logs=(LogRule(path=logs),),
        rotations=(RotationRule(path=turned, max_bytes=1),),
    )
    assert not faults(said)
    assert "each machine that has a replica sweeps its own files, once" in told(said)
    assert (
        f"a replica on '{HOST}' has the rule {logs} sweep the files of that machine in {tmp_path}"
        in (told(said))
    )
    assert turned in told(said)


def test_what_does_not_exist_here_is_said_and_is_no_fault(tmp_path: Path) -> None:
    away = f"{tmp_path}/away"
    rules = (LogRule(path=f"{away}/*.log"), LogRule(path=f"{tmp_path}/audit/[a-z]*/*.log"))
    said = found(logs_roots=(away, str(tmp_path)), logs=rules)
    assert not faults(said)
    assert f"{away} does not exist on '{HOST}'" in told(said)
    assert f"{tmp_path}/audit is no directory on '{HOST}'" in told(said)


def test_what_this_user_may_not_write_to_is_a_fault(readable: Path) -> None:
    archive = f"{readable}/archive"
    rule = LogRule(path=f"{readable}/*.log", archive=archive)
    logs, kept = faults(found(logs_roots=(str(readable),), logs=(rule,)))
    assert f"logs: {readable} on '{HOST}' is not writable for this user" in logs
    assert f"archive: {archive} on '{HOST}' is no directory that this user can write to" in kept
    rule = LogRule(path=f"{readable}/*.log", archive=f"{archive}/deep/er")
    assert "cannot make it in" in told(found(logs_roots=(str(readable),), logs=(rule,)))


def test_a_root_that_a_sweep_refuses_is_a_fault(tmp_path: Path) -> None:
    (refused,) = faults(found(logs_roots=("/etc/app",), logs=(LogRule(path="/etc/app/*.log"),)))
    assert "no file below /etc is deleted" in refused
    (tmp_path / "file").write_text("no directory")
    root = f"{tmp_path}/file"
    (file,) = faults(found(logs_roots=(root,), logs=(LogRule(path=f"{root}/*.log"),)))
    assert f"{root} cannot be opened on '{HOST}': Not a directory" in file
