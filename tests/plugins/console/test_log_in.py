"""Who comes in: people by passwords, programs by tokens, and who is named by a proxy."""

import asyncio
import os
import subprocess
import sys
from typing import Any

import asyncpg
import httpx
import pytest

from sereno import Client
from sereno_console.security.log_in import MOST_OF_ACCOUNT, safe_next
from sereno_console.security.passwords import hash_of
from sereno_console.tables import accounts

from ...servers.waiting import wait_until
from ...servers.warm_python import python_process
from .conftest import Serve

PASSWORD = "correct horse battery"
OUTSIDE: dict[str, Any] = {"host": "0.0.0.0"}


def called(
    database: str, *words: str, typed: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Call ``sereno`` as a process of its own."""
    with python_process(
        [sys.executable, "-m", "sereno", "--database-url", database, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environ},
        text=True,
    ) as process:
        out, err = process.communicate(typed, timeout=50)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def command(database: str, *words: str, typed: str = "", code: int = 0) -> str:
    done = called(database, "console", *words, typed=typed)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout.strip() if code == 0 else done.stderr


async def told(database: str, *words: str, typed: str = "", code: int = 0) -> str:
    return await asyncio.to_thread(command, database, *words, typed=typed, code=code)


async def user(database: str, name: str, *scopes: str) -> None:
    async with Client.open(database, connections=1) as client:
        await accounts.add(client, name, hash_of(PASSWORD), list(scopes), "test")


async def log_in(web: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    given = {"name": name, "password": password, "next": "/console/?a=b"}
    return await web.post("/console/log-in", data=given)


async def test_a_person_logs_in_and_out(serve: Serve, database: str) -> None:
    async with serve(apps=OUTSIDE) as web:
        await user(database, "ana", "viewer")
        sent = await web.get("/console/?a=b")
        assert sent.headers["location"] == "/console/log-in?next=%2Fconsole%2F%3Fa%3Db"
        form = await web.get(sent.headers["location"])
        assert 'value="/console/?a=b"' in form.text

        wrong = await log_in(web, "ana", "wrong horse battery")
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
        assert "do not belong together" in wrong.text
        assert (await log_in(web, "nobody")).status_code == 403

        entered = await log_in(web, "Ana ")
        assert (entered.status_code, entered.headers["location"]) == (303, "/console/?a=b")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly; SameSite=Lax" in cookie
        assert "ana" in (await web.get("/console/")).text

        assert (await web.post("/console/log-out")).status_code == 303
        web.cookies.set("sereno_session", cookie.partition("=")[2].partition(";")[0])
        assert (await web.get("/console/")).status_code == 303  # the key counts no longer


async def test_keys_tokens_and_passwords_are_kept_as_hashes(serve: Serve, database: str) -> None:
    async with serve(apps=OUTSIDE) as web:
        await user(database, "ana", "viewer")
        token = await told(database, "token", "add", "ci", "--scope", "viewer")
        key = (await log_in(web, "ana")).headers["set-cookie"].partition("=")[2].partition(";")[0]
        connection = await asyncpg.connect(database)
        kept = ""
        for table in ("account", "token", "session", "trail", "log_in_failure"):
            kept += str(await connection.fetch(f"SELECT t::text FROM sereno_console.{table} t"))
        await connection.close()
        assert "$argon2id$" in kept
        for secret in (PASSWORD, token, key):
            assert secret not in kept


async def test_a_session_is_revoked(serve: Serve, database: str) -> None:
    async with serve(apps=OUTSIDE) as web:
        await user(database, "ana", "viewer")
        await log_in(web, "ana")
        assert (await web.get("/console/")).status_code == 200
        assert "1 sessions" in await told(database, "session", "revoke", "ana")
        assert (await web.get("/console/")).status_code == 303

        await log_in(web, "ana")
        await told(database, "user", "change", "ana", "--disable")
        assert (await web.get("/console/")).status_code != 200
        assert (await log_in(web, "ana")).status_code == 403


async def test_a_password_is_not_guessed(serve: Serve, database: str) -> None:
    async with serve(apps=OUTSIDE) as web:
        await user(database, "ana", "viewer")
        tries = [log_in(web, "ana", f"wrong horse {n}") for n in range(MOST_OF_ACCOUNT + 5)]
        states = [answer.status_code for answer in await asyncio.gather(*tries)]
        assert states.count(429) >= 5
        late = await log_in(web, "ana")  # also who has the right one waits
        assert late.status_code == 429
        assert late.headers["retry-after"] == "900"


async def test_a_token_is_scoped_tells_its_last_use_and_is_revoked(
    serve: Serve, database: str
) -> None:
    async with serve(apps=OUTSIDE) as web:
        token = await told(database, "token", "add", "ci", "--scope", "viewer", "--expires", "90d")
        assert token.startswith("sereno_")
        bearer = {"authorization": f"Bearer {token}"}
        assert (await web.get("/api/v1/nothing", headers=bearer)).status_code == 404
        assert "127.0.0.1" in await told(database, "token", "list")
        await told(database, "token", "add", "ci", "--scope", "viewer", code=1)
        await told(database, "token", "revoke", "ci")
        refused = await web.get("/api/v1/nothing", headers=bearer)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        for bad in ("Bearer", "Basic YTpi", f"Bearer {token}x", "Bearer \xff", f"Token {token}"):
            answer = await web.get("/api/v1/nothing", headers={b"authorization": bad.encode()})
            assert answer.status_code == 401


MISTAKES = (
    (("user", "add", "ana", "--scope", "wiever"), "did you mean 'viewer'"),
    (("user", "add", "a/b", "--scope", "viewer"), "is no name"),
    (("user", "add", "ana", "--scope", "viewer:"), "is empty"),
    (("token", "revoke", "none"), "there is no token 'none'"),
    (("user", "remove", "none"), "there is no user 'none'"),
    (("session", "revoke"), "name a user, or say --all"),
)


async def test_a_mistake_on_the_command_line_is_a_sentence(serve: Serve, database: str) -> None:
    async with serve():
        for words, sentence in MISTAKES:
            done = await asyncio.to_thread(called, database, "console", *words)
            assert done.returncode in (1, 2)
            assert sentence in done.stderr
            assert "Traceback" not in done.stderr


async def test_check_says_that_nobody_can_come_in_from_elsewhere(
    serve: Serve, database: str
) -> None:
    def check(**environ: str) -> subprocess.CompletedProcess[str]:
        return called(database, "check", **environ)

    async with serve():
        at_home = await asyncio.to_thread(check)
        outside = await asyncio.to_thread(lambda: check(SERENO_APPS__HOST="0.0.0.0"))
        await user(database, "ana", "admin")
        opened = await asyncio.to_thread(lambda: check(SERENO_APPS__HOST="0.0.0.0"))
    assert (at_home.returncode, outside.returncode, opened.returncode) == (0, 1, 0), outside.stderr
    assert "plugin 'console': apps are served on 0.0.0.0" in outside.stderr
    assert "sereno console user add NAME" in " ".join(outside.stderr.split())


async def test_who_is_at_this_machine_logs_in_once_somebody_was_added(
    serve: Serve, database: str
) -> None:
    async with serve() as web:
        assert (await web.get("/console/")).status_code == 200
        await told(
            database,
            *("user", "add", "ana", "--scope", "admin", "--password-stdin"),
            typed=f"{PASSWORD}\n",
        )
        page = f"{web.base_url}/console/"

        def known() -> bool:
            return httpx.get(page, timeout=20).status_code == 303

        await asyncio.to_thread(wait_until, known, "that somebody is known to be there")
        assert (await log_in(web, "ana")).status_code == 303


PROXY = {
    "user_header": "X-Forwarded-User",
    "groups_header": "X-Forwarded-Groups",
    "addresses": ["127.0.0.1"],
    "access": {"staff": ["viewer"], "ana": ["admin"]},
}


@pytest.mark.parametrize(
    ("headers", "addresses", "status"),
    [
        ([("X-Forwarded-User", "ana")], ["127.0.0.1"], 200),
        ([("X-Forwarded-User", "bob"), ("X-Forwarded-Groups", "x, staff")], ["127.0.0.0/8"], 200),
        ([("X-Forwarded-User", "bob")], ["127.0.0.1"], 403),  # known, and may nothing
        ([("X-Forwarded-User", "ana")], ["10.0.0.0/8"], 303),  # not from the proxy
        ([("X-Forwarded-User", "ana"), ("X-Forwarded-For", "127.0.0.1")], ["10.0.0.1"], 303),
        ([("X-Forwarded-User", "ana"), ("X-Forwarded-User", "bob")], ["127.0.0.1"], 403),
        ([("X-Forwarded-User", "")], ["127.0.0.1"], 303),
        ([("X-Forwarded-Groups", "staff")], ["127.0.0.1"], 303),
    ],
)
async def test_a_proxy_that_is_listed_names_who_asks(
    headers: list[tuple[str, str]], addresses: list[str], status: int, serve: Serve
) -> None:
    console = {"proxy": {**PROXY, "addresses": addresses}, "local": "none"}
    async with serve(console=console) as web:
        assert (await web.get("/console/", headers=headers)).status_code == status


@pytest.mark.parametrize(
    "wanted",
    [
        *("http://evil.example.com", "//evil.example.com", "/\\evil.example.com", "javascript:x"),
        *("/console\\..//evil", "/consoles", "/console/%0d%0aSet-Cookie:%20a=b", "", "/%2fevil"),
    ],
)
def test_after_a_log_in_nobody_is_sent_elsewhere(wanted: str) -> None:
    assert safe_next(wanted, "/console") == "/console/"
    assert safe_next("/console/runs?x=1", "/console") == "/console/runs?x=1"
