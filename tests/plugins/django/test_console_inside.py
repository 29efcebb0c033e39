"""The console inside a Django project's ASGI application, with that project's people."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.asgi import get_asgi_application
from django.db import connections

import sereno_console
from sereno import StoreUnavailableError
from sereno.testing import Kernel
from sereno_django import People
from sereno_django.discovery import found_jobs

from ...servers.supervised import free_port
from .conftest import in_thread
from .test_admin import logged_in, site

__all__ = ["site"]


async def test_people_of_the_project_come_in_by_its_session(site: str) -> None:
    console = sereno_console.app(site, resolver=People(), log_in="/admin/login/?next=")
    django = get_asgi_application()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/sereno/"):
            await console({**scope, "root_path": "/sereno"}, receive, send)
        else:
            await django(scope, receive, send)

    async with Kernel(*found_jobs(), database=site):
        ana, bob = [
            (await in_thread(logged_in, name)).cookies[settings.SESSION_COOKIE_NAME].value
            for name in ("ana", "bob")
        ]
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as web:
            stranger = await web.get("/sereno/jobs")
            assert stranger.headers["location"] == "/admin/login/?next=%2Fsereno%2Fjobs"
            assert (await web.get("/admin/")).status_code == 302  # and answers beside it
            for key, name, may_pause in ((ana, "ana", True), (bob, "bob", False)):
                web.cookies = httpx.Cookies({settings.SESSION_COOKIE_NAME: key})
                page = await web.get("/sereno/")
                assert page.status_code == 200
                assert 'href="/sereno/jobs"' in page.text
                me = (await web.get("/sereno/api/v1/me")).json()
                assert (me["name"], me["via"]) == (name, "host")
                paused = await web.post("/sereno/api/v1/pause", json={"everything": True})
                assert (paused.status_code == 200) is may_pause
            people = await web.get("/sereno/people")
            assert people.status_code == 403
            web.cookies = httpx.Cookies({settings.SESSION_COOKIE_NAME: ana})
            people = (await web.get("/sereno/people")).text
            assert "said by the application" in people
            added = {"name": "eve", "password": "correct horse battery", "role": "viewer"}
            refused = await web.post("/sereno/people/users", data=added)
            assert refused.status_code == 404
    await console.close()


async def test_what_staff_may_is_what_the_admin_lets_them(site: str) -> None:
    def access(name: str, *permissions: str) -> Any:
        user, _ = User.objects.get_or_create(username=name, is_staff=True)
        user.set_password(name[0])
        user.save()
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        key = logged_in(name).cookies[settings.SESSION_COOKIE_NAME].value
        return SimpleNamespace(cookies={settings.SESSION_COOKIE_NAME: key})

    people = People()

    async def scopes(request: Any) -> list[str]:
        user = await people.resolve_user(request)
        return [] if user is None else people.resolve_access(user)

    tasks, periodic = ("view_taskrun", "change_taskrun"), ("view_taskrun", "change_periodictask")
    assert await scopes(await in_thread(access, "carl")) == []
    assert await scopes(await in_thread(access, "dora", *tasks)) == [
        *("viewer", "run", "cancel", "retry", "bulk")
    ]
    eve = await in_thread(access, "eve", *periodic, "reveal_taskrun")
    assert await scopes(eve) == ["viewer", "schedule", "pause", "reveal"]

    def changed(**fields: Any) -> None:
        user = User.objects.get(username="eve")
        for name, value in fields.items():
            setattr(user, name, value)
        user.save()

    await in_thread(changed, is_active=False)
    assert await scopes(eve) == []
    await in_thread(changed, is_active=True, is_staff=False)
    assert await scopes(eve) == []
    await in_thread(changed, is_staff=True)
    assert await scopes(eve) != []

    def passed_on() -> None:
        user = User.objects.get(username="eve")
        user.set_password("other")
        user.save()

    await in_thread(passed_on)
    assert await scopes(eve) == [], "a session ends with the password that it began by"


async def test_a_connection_that_the_server_has_cut_is_made_anew(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (await in_thread(logged_in)).cookies[settings.SESSION_COOKIE_NAME].value
    request = SimpleNamespace(cookies={settings.SESSION_COOKIE_NAME: key})
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 600)
    assert await People().resolve_user(request) is not None

    def cut() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    await in_thread(cut)
    try:
        assert await People().resolve_user(request) is not None
        monkeypatch.setitem(connections["default"].settings_dict, "PORT", str(free_port()))
        await sync_to_async(connections.close_all)()
        with pytest.raises(StoreUnavailableError, match="Django's database: "):
            await People().resolve_user(request)
    finally:
        await sync_to_async(connections.close_all)()
