"""Apps over TLS: served with a certificate, and a sentence where it cannot be used."""

import subprocess
from pathlib import Path

import httpx
import pytest

from .process import process

PLUGIN = "tests.faults.apps_plugin"

pytestmark = pytest.mark.fault


@pytest.fixture
def pem(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "apps.crt", tmp_path / "apps.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def settings(certificate: Path, key: Path) -> dict[str, str]:
    return {
        "SERENO_APPS__PORT": "0",
        "SERENO_APPS__TLS_CERTIFICATE": str(certificate),
        "SERENO_APPS__TLS_KEY": str(key),
    }


def test_apps_are_served_over_tls(database: str, tmp_path: Path, pem: tuple[Path, Path]) -> None:
    with process(database, tmp_path, PLUGIN, **settings(*pem)) as replica:
        base = replica.said("apps are served", 1, 40)["at"]
        assert base.startswith("https://")
        found = httpx.get(f"{base}console/", verify=False, timeout=20).json()
        assert found["scheme"] == "https"


@pytest.mark.parametrize("bad", ["missing", "swapped"])
def test_a_certificate_that_cannot_be_used_is_said_and_the_node_goes_on(
    bad: str, database: str, tmp_path: Path, pem: tuple[Path, Path]
) -> None:
    certificate, key = pem
    chosen = settings(tmp_path / "no.crt", key) if bad == "missing" else settings(key, certificate)
    with process(database, tmp_path, PLUGIN, **chosen) as replica:
        said = replica.said("the process of apps has ended, and is started again", 1, 40)
        assert "apps.tls_certificate" in said["why"]
        assert "cannot be used" in said["why"]
        assert said["again_in"] == 60
        assert replica.page("/health/readiness").status_code == 200
