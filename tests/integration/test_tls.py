"""TLS to PostgreSQL in every sslmode, for all of a replica's sessions."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sereno.model.errors import SerenoError
from sereno.store.migrator import migrate
from sereno.store.pool import Database

from ..servers.postgres import PostgresServer, installed_programs
from .node import running
from .test_rights import tick

pytestmark = pytest.mark.timeout(240)

_OPENSSL = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")


class Tls:
    """A server that takes TCP connections by TLS alone. `ca` signed it, `other` did not."""

    def __init__(self, server: PostgresServer, place: Path) -> None:
        self.server = server
        self.ca, self.key = place / "ca.pem", place / "ca.key"
        self.other = place / "other.pem"

    def dsn(self, mode: str, host: str = "127.0.0.1", **more: object) -> str:
        query = "".join(f"&{name}={value}" for name, value in more.items())
        return f"{self.server.dsn('app', host)}?sslmode={mode}{query}"


def certificate(place: Path, name: str, alternative: str) -> tuple[Path, Path]:
    found, key = place / f"{name}.pem", place / f"{name}.key"
    subprocess.run(
        [*_OPENSSL, "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}",
         "-keyout", str(key), "-out", str(found)],
        check=True, capture_output=True,
    )  # fmt: skip
    return found, key


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    place = tmp_path_factory.mktemp("tls")
    programs = list(installed_programs().values())[-1]  # the embedded build has no TLS
    server = PostgresServer(programs)
    tls = Tls(server, place)
    try:
        server.start()
        server.execute("CREATE DATABASE app")
        certificate(place, "ca", "IP:127.0.0.1")
        certificate(place, "other", "IP:127.0.0.1")
        data = server.data
        for path, name in ((tls.ca, "server.crt"), (tls.key, "server.key")):
            copy = shutil.copy(path, data / name)
            Path(copy).chmod(0o600)
            shutil.chown(copy, data.owner(), data.group())
        server.execute("ALTER SYSTEM SET ssl = on")
        hba = "local all all trust\nhostssl all all all trust\n"
        (data / "pg_hba.conf").write_text(hba)
        server.stop()
        server.start()
        asyncio.run(migrate(tls.dsn("require")))
        yield tls
    finally:
        server.remove()


async def version(dsn: str) -> str | None:
    """Return the TLS version of a pool's session, None where it has none."""
    database = Database(dsn, size=1)
    await database.open()
    try:
        async with database.connection() as connection:
            found: str | None = await connection.fetchval(
                "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            )
            return found
    finally:
        await database.close()


@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
async def test_modes_that_prove_nothing_use_tls(mode: str, tls: Tls) -> None:
    assert (await version(tls.dsn(mode)) or "").startswith("TLS")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_modes_that_prove_the_server_know_their_authority(mode: str, tls: Tls) -> None:
    assert (await version(tls.dsn(mode, sslrootcert=tls.ca)) or "").startswith("TLS")
    with pytest.raises(SerenoError, match="certificate"):
        await version(tls.dsn(mode, sslrootcert=tls.other))


async def test_verify_full_alone_minds_the_name(tls: Tls) -> None:
    assert await version(tls.dsn("verify-ca", "localhost", sslrootcert=tls.ca))
    with pytest.raises(SerenoError, match="certificate"):
        await version(tls.dsn("verify-full", "localhost", sslrootcert=tls.ca))


async def test_without_tls_a_server_that_demands_it_says_so(tls: Tls) -> None:
    with pytest.raises(SerenoError, match=r"no encryption|pg_hba"):
        await version(tls.dsn("disable"))


async def test_an_authority_that_is_no_file_is_named(tls: Tls) -> None:
    with pytest.raises(SerenoError, match=r"nowhere\.pem"):
        await version(tls.dsn("verify-full", sslrootcert="/nowhere.pem"))


async def test_each_session_of_a_replica_is_as_the_url_says(tls: Tls) -> None:
    dsn = tls.dsn("verify-full", sslrootcert=tls.ca)
    async with running(dsn, tick) as node:
        await node.leads()
        await node.finished("tests.tick")
        database = Database(dsn, size=1)
        await database.open()
        async with database.connection() as connection:
            rows = await connection.fetch(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE datname = 'app' AND backend_type = 'client backend'"
            )
        await database.close()
    assert len(rows) > 2
    assert all(row["ssl"] for row in rows)


async def test_the_environment_of_libpq_counts_where_the_url_says_nothing(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(tls.other))
    with pytest.raises(SerenoError, match="certificate"):
        await version(tls.server.dsn("app"))
