"""Users, tokens and sessions on their pages: made, changed, revoked, by who may and no further."""

import re
from typing import Any

import httpx
import pytest

from sereno import Client
from sereno_console.pages.people import scopes_given
from sereno_console.security.passwords import hash_of
from sereno_console.tables import accounts

from .conftest import Serve
from .shop import bearer

PASSWORD = "correct horse battery"
OUTSIDE: dict[str, Any] = {"host": "0.0.0.0"}
HOSTILE = "<script>alert(1)</script>"


async def test_a_user_is_added_changed_and_removed(serve: Serve, database: str) -> None:
    async with (
        serve(apps=OUTSIDE) as web,
        httpx.AsyncClient(base_url=web.base_url, timeout=20) as other,
    ):
        web.headers.update(await bearer(database, "admin", name="boss"))
        form = {"name": "Ana", "password": PASSWORD, "role": "operator", "jobs": "shop.*"}
        added = await web.post("/console/people/users", data=form)
        assert added.headers["location"] == "/console/people/users/ana"
        assert "operator:shop.*" in (await web.get(added.headers["location"])).text

        log_in = {"name": "ana", "password": PASSWORD}
        assert (await other.post("/console/log-in", data=log_in)).status_code == 303
        assert (await other.get("/console/")).status_code == 200
        assert (await other.get("/console/people")).status_code == 403
        page = await web.get("/console/people")
        (number,) = re.findall(r"/people/sessions/(\w+)/end", page.text)
        assert (await web.post(f"/console/people/sessions/{number}/end")).status_code == 303
        assert (await other.get("/console/")).status_code == 303  # asked who they are

        at = "/console/people/users/ana"
        await other.post("/console/log-in", data=log_in)
        scopes = {"do": "scopes", "scopes": "viewer pause:etl.*"}
        assert (await web.post(at, data=scopes)).status_code == 303
        assert (await other.get("/console/")).status_code == 303  # logged out by it
        assert (await web.post(at, data={"do": "disable"})).status_code == 303
        assert (await other.post("/console/log-in", data=log_in)).status_code == 403
        assert (await web.post(at, data={"do": "enable"})).status_code == 303
        new = {"do": "password", "password": "another horse battery"}
        assert (await web.post(at, data=new)).status_code == 303
        assert (await other.post("/console/log-in", data=log_in)).status_code == 403
        assert (await web.post(at, data={"do": "remove"})).status_code == 303
        assert (await web.get(at)).status_code == 404

        trail = (await web.get("/console/people/trail")).text
        for said in ("user added", "user changed", "user removed", "log-in refused"):
            assert said in trail
        assert "boss@127.0.0.1" in trail
        assert PASSWORD not in trail + page.text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "a/b", "password": PASSWORD, "role": "viewer"}, "is no name"),
        ({"name": "ana", "password": "short", "role": "admin"}, "a password has 10 to"),
        ({"name": "ana", "password": PASSWORD}, "say what they may"),
        ({"name": "ana", "password": PASSWORD, "scopes": "wiever"}, "did you mean"),
        ({"name": "ana", "password": PASSWORD, "role": "operator"}, "the first user must be one"),
        ({"name": HOSTILE, "password": PASSWORD, "role": "viewer"}, "is no name"),
    ],
)
async def test_a_form_that_does_not_fit_is_a_sentence(
    given: dict[str, str], sentence: str, serve: Serve
) -> None:
    async with serve() as web:
        refused = await web.post("/console/people/users", data=given)
        assert refused.status_code == 400
        assert sentence in refused.text
        assert HOSTILE not in refused.text


async def test_a_token_is_shown_once_used_and_revoked(serve: Serve, database: str) -> None:
    async with serve(apps=OUTSIDE) as web:
        admin = await bearer(database, "admin", name="boss")
        form = {"name": "ci", "role": "viewer", "lasts": "90d"}
        made = await web.post("/console/people/tokens", data=form, headers=admin)
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        (token,) = re.findall(r'id="made">(sereno_[\w-]+)<', made.text)
        assert token not in (await web.get("/console/people", headers=admin)).text
        used = {"authorization": f"Bearer {token}"}
        assert (await web.get("/api/v1/me", headers=used)).json()["name"] == "ci"
        listed = (await web.get("/console/people", headers=admin)).text
        assert listed.count("127.0.0.1") > 1  # from where it was used last
        gone = await web.post("/console/people/tokens/ci/revoke", headers=admin)
        assert gone.headers["location"] == "/console/people#tokens"
        assert (await web.get("/api/v1/me", headers=used)).status_code == 401
        again = await web.post("/console/people/tokens/ci/revoke", headers=admin)
        assert again.status_code == 404


async def test_nobody_decides_about_more_than_they_may_themselves(
    serve: Serve, database: str
) -> None:
    async with serve(apps=OUTSIDE) as web, Client.open(database) as sereno:
        await accounts.add(sereno, "root", hash_of(PASSWORD), ["admin"], "test")
        boss = await bearer(database, "admin", name="boss")
        clerk = await bearer(database, "access", "viewer", name="clerk")
        tries: list[tuple[str, dict[str, str]]] = [
            ("users", {"name": "eve", "password": PASSWORD, "role": "admin"}),
            ("tokens", {"name": "eve", "scopes": "run:shop.*"}),
            ("users/root", {"do": "password", "password": PASSWORD}),
            ("users/root", {"do": "remove"}),
            ("tokens/boss/revoke", {}),
        ]
        for path, form in tries:
            refused = await web.post(f"/console/people/{path}", data=form, headers=clerk)
            assert refused.status_code == 403, path
        fine = {"name": "eve", "password": PASSWORD, "role": "viewer"}
        assert (await web.post("/console/people/users", data=fine, headers=clerk)).is_redirect
        mixed = {"do": "scopes", "role": "viewer", "scopes": "bulk"}
        refused = await web.post("/console/people/users/eve", data=mixed, headers=clerk)
        assert refused.status_code == 403
        operator = await bearer(database, "operator", name="operator")
        for path in ("people", "people/trail", "people/users/root"):
            assert (await web.get(f"/console/{path}", headers=operator)).status_code == 403
        assert "boss" in (await web.get("/console/people", headers=boss)).text


async def test_nobody_locks_themselves_out(serve: Serve, database: str) -> None:
    async with serve(apps=OUTSIDE) as web, Client.open(database) as sereno:
        await accounts.add(sereno, "ana", hash_of(PASSWORD), ["admin"], "test")
        await web.post("/console/log-in", data={"name": "ana", "password": PASSWORD})
        for form in ({"do": "disable"}, {"do": "remove"}):
            assert (await web.post("/console/people/users/ana", data=form)).status_code == 409
        assert (await web.get("/console/people")).status_code == 200


def test_a_form_says_scopes_by_role_actions_and_words() -> None:
    assert scopes_given({"role": "viewer", "jobs": "*"}) == ["viewer"]
    form = {"role": "viewer", "jobs": "shop.*", "action.pause": "on", "scopes": " run:a  viewer "}
    assert scopes_given(form) == ["viewer:shop.*", "pause:shop.*", "run:a", "viewer"]
    assert scopes_given({"action.nonsense": "on"}) == []
