"""``make setup`` where it cannot succeed."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_setup_without_a_network_ends_with_a_sentence_that_says_so(tmp_path: Path) -> None:
    clone = tmp_path / "a fresh clone"
    for source in ("pyproject.toml", "constraints.txt", "tools/setup.sh"):
        (clone / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, clone / source)
    away = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:1/",  # where nobody answers
        "PIP_RETRIES": "0",
        "PIP_CACHE_DIR": str(tmp_path / "cache"),
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")} | away

    done = subprocess.run(
        ["sh", clone / "tools" / "setup.sh"], env=environment, capture_output=True, text=True
    )

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("setup: pip could not install the packages")
    assert "The first setup needs a network" in lines[-1]
    assert not (clone / ".venv" / ".sereno-setup").exists()
    assert not (clone / ".sereno" / "setup.lock").exists()
