"""The servers that sources are: old ones, MySQL 8's accounts, TLS as settings and URLs say."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.servers.mariadb import MariaDb

from sereno_etl_ivr.errors import SourceError
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source import open_source
from sereno_etl_ivr.tls import mysql_tls

from .conftest import Sync
from .pbx import FREEPBX, Pbx, loaded
from .stand_ins import door, old_door, sha2_door

ALL = ("calldate", "src", "duration", "uniqueid")


async def test_a_server_that_knows_neither_a_limit_nor_read_only_sessions_is_read(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(300)
    refused: list[bytes] = []

    with door(pbx.url, old_door(pbx.url, refused)) as url:
        result = await synced(url, batch_size=50, patience="PT1S")

    assert (result["inserted"], result["rejected"]) == (300, 0)
    assert any(b"max_statement_time" in statement for statement in refused)
    assert any(b"READ ONLY" in statement for statement in refused)
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_a_password_of_mysql_8_is_sent_under_the_servers_key(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(300)

    with door(pbx.url, sha2_door(pbx.url, "secret/8")) as url:
        result = await synced(url.replace(":sereno@", ":secret%2F8@"), batch_size=50)
        with pytest.raises(SourceError, match=r"Access denied.*check user and password"):
            await synced(url.replace(":sereno@", ":wrong@"), patience="PT0S")

    assert result["inserted"] == 300
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


class Keys:
    """Certificates: an authority, the server's for 127.0.0.1, a client's."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._run(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=ca",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        )
        for name, alternative in (
            ("server", "IP:127.0.0.1"),
            ("client", "DNS:client"),
            ("other", "DNS:elsewhere"),
        ):
            (place / "names").write_text(f"subjectAltName={alternative}")
            self._run(
                "req",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                f"/CN={name}",
                "-keyout",
                f"{name}.key",
                "-out",
                f"{name}.csr",
            )
            self._run(
                "x509",
                "-req",
                "-in",
                f"{name}.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                "names",
                "-out",
                f"{name}.pem",
            )

    def _run(self, *arguments: str) -> None:
        subprocess.run(("openssl", *arguments), cwd=self.place, check=True, capture_output=True)

    def __getitem__(self, name: str) -> str:
        return str(self.place / name)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Give certificates."""
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def tls_server(keys: Keys) -> Iterator[MariaDb]:
    """Give a MariaDB server with TLS, whose users `hidden` and `known` must use it."""
    for file in keys.place.iterdir():
        file.chmod(0o644)
    for folder in (keys.place, *keys.place.parents[:2]):
        folder.chmod(0o755)
    server = MariaDb.start(
        f"--ssl-ca={keys['ca.pem']}", f"--ssl-cert={keys['server.pem']}",
        f"--ssl-key={keys['server.key']}",
    )  # fmt: skip
    try:
        server.execute("CREATE USER hidden@'%' IDENTIFIED BY 'secret' REQUIRE SSL")
        server.execute("CREATE USER known@'%' IDENTIFIED BY 'secret' REQUIRE X509")
        for user in ("hidden", "known"):
            server.execute(f"GRANT ALL ON *.* TO {user}@'%'")
        yield server
    finally:
        server.remove()


@pytest.fixture
def tls_pbx(tls_server: MariaDb) -> Iterator[Pbx]:
    """Give an exchange on the server with TLS."""
    with tls_server.database() as url, Pbx.connected(url) as pbx:
        pbx.execute(FREEPBX)
        pbx.fill(10)
        yield pbx


def of(pbx: Pbx, user: str = "hidden", options: str = "") -> str:
    return pbx.url.replace("sereno:sereno@", f"{user}:secret@") + options


async def test_tls_by_settings_reaches_an_account_that_requires_it(
    tls_pbx: Pbx, synced: Sync, keys: Keys
) -> None:
    with pytest.raises(SourceError, match=r"whether the account wants TLS \(source_tls\)"):
        await synced(of(tls_pbx), patience="PT0S")

    result = await synced(of(tls_pbx), source_tls={"ca": keys["ca.pem"]})

    assert result["inserted"] == 10


async def test_a_client_shows_its_certificate(tls_pbx: Pbx, synced: Sync, keys: Keys) -> None:
    tls = {"ca": keys["ca.pem"]}
    with pytest.raises(SourceError):
        await synced(of(tls_pbx, "known"), patience="PT0S", source_tls=tls)

    mine = {"cert": keys["client.pem"], "key": keys["client.key"], **tls}

    assert (await synced(of(tls_pbx, "known"), source_tls=mine))["inserted"] == 10


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("?ssl-mode=REQUIRED", None),
        ("?ssl_mode=preferred", None),
        ("?ssl-mode=VERIFY_CA&ssl-ca={ca.pem}", None),
        ("?ssl-mode=VERIFY_IDENTITY&ssl-ca={ca.pem}", None),
        ("?ssl-ca={ca.pem}&charset=utf8mb4", None),
        ("?ssl-mode=VERIFY_CA", "certificate verify failed"),
        ("?ssl-mode=VERIFY_IDENTITY&ssl-ca={other.pem}", "certificate verify failed"),
        ("?ssl-mode=VERIFY_CA&ssl-ca=/nowhere.pem", "No such file"),
        ("?ssl-mode=DISABLED", "whether the account wants TLS"),
    ],
)
async def test_what_a_url_says_of_tls_is_obeyed(
    tls_pbx: Pbx, synced: Sync, keys: Keys, options: str, fault: str | None
) -> None:
    for name in ("ca.pem", "other.pem"):
        options = options.replace(f"{{{name}}}", keys[name])
    url = of(tls_pbx, options=options)
    if fault is None:
        assert (await synced(url))["inserted"] == 10
        return
    with pytest.raises(SourceError, match=fault):
        await synced(url, patience="PT0S")


@pytest.mark.parametrize(
    "settings", [{"source_tls": {"verify": "none"}}, {"source_url": "?ssl-mode=REQUIRED"}]
)
async def test_no_password_goes_to_a_server_without_tls_where_it_is_required(
    pbx: Pbx, synced: Sync, settings: dict[str, Any]
) -> None:
    """The shared MariaDB has no certificate."""
    url = pbx.url + settings.pop("source_url", "")
    with pytest.raises(SourceError, match=r"TLS: .*speaks no TLS.*check plugins"):
        await synced(url, patience="PT0S", **settings)
    async with open_source(Settings(source_url=f"{pbx.url}?ssl-mode=PREFERRED")):
        pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"source_url": "mysql://h/d?sslmod=REQUIRED"},
            "'sslmod=REQUIRED' is not obeyed here, did",
        ),
        ({"source_url": "mysql://h/d?compress=1"}, "option 'compress=1' is not obeyed here; there"),
        ({"source_url": "mysql://h/d?charset=latin1"}, "option 'charset=latin1' is not obeyed"),
        ({"source_url": "mysql://h/d?ssl-mode=maybe"}, "ssl-mode is 'maybe', it must be one of"),
        ({"source_url": "mysql://h/d?ssl-mode="}, "ssl-mode is '', it must be one of"),
        ({"source_url": "mysql://h/d?ssl-mode=DISABLED&ssl-ca=x"}, "files for TLS are named"),
        (
            {"source_url": "mysql://h/d?ssl-mode=REQUIRED", "source_tls": {}},
            "source_url and source_tls both say",
        ),
        (
            {"source_url": "postgresql://h/d?sslmode=require", "source_tls": {}},
            "source_url and source_tls both say",
        ),
        (
            {"source_url": "postgresql://h/d?statement_timeout=1"},
            "option 'statement_timeout' is chosen by the plugin",
        ),
        (
            {"target_url": "postgresql://h/d?synchronous_commit=on"},
            "target_url: option 'synchronous_commit' is chosen",
        ),
        ({"source_url": "postgresql://u:a/b@h/d"}, "source_url: its user or password holds a '/'"),
        ({"target_url": "postgresql://u:a#b@h/d"}, "target_url: its user or password holds a '/'"),
        ({"source_tls": {"key": "x"}}, "key is set without cert"),
        ({"source_tls": {"verify": "maybe"}}, "verify"),
    ],
)
def test_options_that_would_not_be_obeyed_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(settings, Settings)


def test_each_mode_of_mysql_is_understood() -> None:
    modes = {
        mode: mysql_tls(f"mysql://h/d?ssl-mode={mode}", None)
        for mode in ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
    }
    told = {
        mode: (tls.required, None if tls.settings is None else tls.settings.verify)
        for mode, tls in modes.items()
    }
    assert told == {
        "DISABLED": (False, None),
        "PREFERRED": (False, "none"),
        "REQUIRED": (True, "none"),
        "VERIFY_CA": (True, "ca"),
        "VERIFY_IDENTITY": (True, "full"),
    }
