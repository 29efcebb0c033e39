"""The admin: tasks, periodic tasks, the log, the dashboard and actions, in both languages."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from bookshop import tasks
from bookshop.models import Order
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from sereno.testing import Kernel
from sereno_django.discovery import found_jobs
from sereno_django.models import PeriodicTask, TaskRun

from .conftest import fresh, in_thread, point

EMPTY = {
    **dict.fromkeys(("every", "minute", "hour", "day_of_month", "month_of_year"), ""),
    **dict.fromkeys(("day_of_week", "timezone", "solar", "latitude", "longitude", "other"), ""),
    **dict.fromkeys(("clocked_0", "clocked_1", "start_0", "start_1", "expires_0"), ""),
    **{"expires_1": "", "period": "m", "params": "{}", "enabled": "on"},
}


@pytest.fixture
def site(sereno_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a database with all of Django's tables, and two users: ana may all, bob sees."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "bookshop.settings")
    point(sereno_database)
    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_superuser("ana", password="a")
    bob = User.objects.create_user("bob", password="b", is_staff=True)
    bob.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    fresh()
    yield sereno_database
    fresh()


def logged_in(name: str = "ana", **headers: str) -> Client:
    web = Client(headers=headers)
    assert web.login(username=name, password=name[0])
    return web


def words(page: Any) -> str:
    """Return the text of a page that was answered."""
    assert page.status_code == 200, page.content[:2000]
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())


async def test_the_admin_of_tasks(site: str) -> None:
    async with Kernel(*found_jobs(), database=site, at=timezone.now()) as kernel:

        def asked() -> None:
            for name in ("ana", "béa"):
                Order.objects.create(customer=name)
            web = logged_in(**{"accept-language": "es"})
            chosen = [str(pk) for pk in Order.objects.values_list("pk", flat=True)]
            given = {"action": "enqueue_mail", "_selected_action": chosen}
            page = web.post("/admin/bookshop/order/", given, follow=True)
            assert "2 tareas programadas." in words(page)
            tasks.fail.enqueue("own")

        await in_thread(asked)
        await kernel.drain()

        def seen() -> None:
            web = logged_in()
            page = words(web.get("/admin/sereno/taskrun/"))
            assert "bookshop.tasks.mail" in page
            assert "admin ana" in page
            assert "no own" in page
            kinds = web.get("/admin/sereno/taskrun/", {"kind": "bookshop.tasks.fail"})
            assert "1 task" in words(kinds)
            found = {"q": "béa", "state": "succeeded"}
            assert "0 tasks" in words(web.get("/admin/sereno/taskrun/", found))
            for term in ("admin ana", "no own", "bookshop.tasks.fail", "3"):
                assert re.search(
                    r"[1-9] tasks?", words(web.get("/admin/sereno/taskrun/", {"q": term}))
                )
            failed = TaskRun.objects.get(state="failed")
            detail = words(web.get(f"/admin/sereno/taskrun/{failed.pk}/change/"))
            assert "Traceback" in detail
            assert "no own 🧾" in detail
            again = {"action": "retry_selected", "_selected_action": [failed.pk]}
            assert "1 tasks" in words(web.post("/admin/sereno/taskrun/", again, follow=True))
            assert "Log" in words(web.get("/admin/sereno/runline/", {"q": str(failed.pk)}))
            board = words(logged_in("bob", **{"accept-language": "es"}).get("/admin/"))
            assert "completadas en 24 horas: 2" in board
            assert "pendientes: 1" in board
            refused = logged_in("bob").post("/admin/sereno/taskrun/", again, follow=True)
            assert TaskRun.objects.count() == 4, words(refused)

        await in_thread(seen)
        await sync_to_async(fresh)()


FORMS = {
    "interval": ({"every": "30"}, "every 30m"),
    "crontab": (
        {"minute": "*/30", "day_of_week": "1-5", "timezone": "America/Argentina/Cordoba"},
        "cron */30 * * * 1-5 America/Argentina/Cordoba",
    ),
    "clocked": (
        {"clocked_0": "2027-01-15", "clocked_1": "10:00"},
        "once 2027-01-15T13:00:00Z",
    ),
    "other": ({"other": "any_of (every 5m) (cron 0 0 * * *)"}, None),
}


async def test_the_form_of_a_periodic_task(site: str) -> None:
    async with Kernel(*found_jobs(), database=site) as kernel:

        def filled() -> None:
            web = logged_in(**{"accept-language": "es"})
            at = "/admin/sereno/periodictask/"
            page = words(web.get(f"{at}add/"))
            for label in ("Nombre", "Crontab", "Intervalo", "Solar", "Expira"):
                assert label in page, page
            for kind, (given, trigger) in FORMS.items():
                data = {**EMPTY, "task": "bookshop.count", "title": f"Cuenta {kind} ñ", **given}
                saved = web.post(f"{at}add/", data)
                assert saved.status_code == 302, words(saved)
                made = PeriodicTask.objects.get(name=f"bookshop.count@cuenta-{kind}-n")
                assert (made.title, made.origin) == (f"Cuenta {kind} ñ", "user")
                if trigger is not None:
                    assert made.part("trigger") == trigger
                form = web.get(f"{at}{made.pk}/change/").content.decode()
                for key, value in given.items():
                    shown = re.search(rf'name="{key}" value="([^"]*)"', form)
                    assert shown is not None, key
                    assert shown[1].startswith(value) or "2027" in shown[1] or kind == "other"
            for wrong, sentence in (
                ({}, "Rellene uno"),
                ({"every": "5", "minute": "3"}, "son 2"),
                ({"minute": "99"}, "99"),
                ({"solar": "noon"}, "latitud"),
                ({"every": "5", "params": '{"odd": 1}', "task": "bookshop.greet"}, "odd"),
            ):
                data = {**EMPTY, "task": "bookshop.count", "title": "x", **wrong}
                assert sentence in words(web.post(f"{at}add/", data))
            made = PeriodicTask.objects.get(name="bookshop.count@cuenta-interval-n")
            bounds = {"expires_0": "2027-01-31", "expires_1": "23:59:59", "one_off": "on"}
            data = {**EMPTY, "title": "Otra", "every": "2", "period": "h", **bounds}
            del data["enabled"]
            assert web.post(f"{at}{made.pk}/change/", data).status_code == 302
            made = PeriodicTask.objects.get(pk=made.pk)
            assert (made.title, made.state, made.part("one_off")) == ("Otra", "paused", True)
            page = words(web.get(at))
            assert "every 2h" in page
            listed = {"action": "enable_selected", "_selected_action": [made.pk]}
            web.post(at, listed)
            assert PeriodicTask.objects.get(pk=made.pk).state == "active"
            web.post(f"{at}{made.pk}/delete/", {"post": "yes"})
            assert PeriodicTask.objects.get(pk=made.pk).state == "removed"
            assert logged_in("bob").get(f"{at}add/").status_code == 403

        await in_thread(filled)
        made_by = {change.by for change in (await kernel.client.changes()).items}
        assert "admin ana" in made_by
        await sync_to_async(fresh)()
