"""The student service, whole: what its own document asks for, through its admin, with stand-ins."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright

from ..servers.postgres import PostgresServer
from ..servers.supervised import free_port
from ..servers.waiting import wait_until
from .by_file import loaded

STUDENTS = Path(__file__).parents[2] / "examples/students"
MANY = 120
NOTHING = {"created": 0, "updated": 0, "errors": 0, "detalle": "fuera de fechas"}

pytestmark = pytest.mark.xdist_group("students")  # they share an office, each has its students
FORM = {
    **dict.fromkeys(("every", "minute", "hour", "day_of_month", "month_of_year"), ""),
    **dict.fromkeys(("day_of_week", "timezone", "solar", "latitude", "longitude", "other"), ""),
    **dict.fromkeys(("clocked_0", "clocked_1", "start_0", "start_1", "expires_0"), ""),
    **{"expires_1": "", "period": "m", "params": "{}", "enabled": "on"},
}


class Office:
    """The service as who works with it has it: its admin, its database, and what is outside."""

    def __init__(self, port: int, database: str, world: Any) -> None:
        self.web = httpx.Client(base_url=f"http://127.0.0.1:{port}/admin", timeout=30)
        self.database = database
        self.world = world

    def log_in(self) -> None:
        def answers() -> bool:
            try:
                return self.web.get("/login/").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, "the admin")
        self.post("/login/", username="admin", password="admin", next="/admin/")

    def page(self, path: str, **query: Any) -> str:
        answer = self.web.get(path, params=query, follow_redirects=True)
        assert answer.status_code == 200, answer.text[:500]
        return words(answer.text)

    def post(self, path: str, **data: Any) -> str:
        form = {"csrfmiddlewaretoken": self.web.cookies.get("csrftoken"), **data}
        answer = self.web.post(path, data=form, follow_redirects=True)
        assert answer.status_code == 200, answer.text[:500]
        return words(answer.text)

    def ask(self, statement: str, *params: Any) -> Any:
        with psycopg.connect(self.database, autocommit=True) as connection:
            row = connection.execute(statement, params).fetchone()
            return None if row is None else row[0]

    def action(self, name: str, *students: int) -> str:
        chosen = f"enqueue_alumnos_tasks_{name}"
        return self.post("/alumnos/alumno/", action=chosen, _selected_action=students)

    def run(self, task: str, **params: Any) -> int:
        name, given = f"alumnos.tasks.{task}", json.dumps(params)
        return int(self.ask("SELECT sereno.enqueue(%s, %s::jsonb)", name, given))

    def newest(self, task: str) -> int:
        newest = "SELECT max(id) FROM sereno.run WHERE job = %s"
        return int(self.ask(newest, f"alumnos.tasks.{task}"))

    def ended(self, run: int) -> tuple[str, Any, str]:
        """Return state, result and error of a run, once it is over."""
        over = "SELECT finished_at IS NOT NULL FROM sereno.run WHERE id = %s"
        wait_until(lambda: self.ask(over, run), f"the end of run {run}")
        found = "SELECT jsonb_build_array(state, result, error) FROM sereno.run WHERE id = %s"
        state, result, error = self.ask(found, run)
        return state, result, error or ""

    def students(self, first: int, end: int) -> list[int]:
        """Return students by their places in SIAL."""
        rows = "SELECT array_agg(id ORDER BY dni) FROM alumnos_alumno WHERE dni >= %s AND dni < %s"
        return list(self.ask(rows, 40_000_000 + first, 40_000_000 + end))

    def mailed(self, place: int) -> list[str]:
        to = f"a{place}@correo.example"
        return [text for name, text in self.world.mails if name == to]


def upn(place: int) -> str:
    return f"test-{40_000_000 + place}@universidad.example"


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.fixture(scope="module")
def office(
    postgres_servers: Callable[[int], PostgresServer], postgres_version: int
) -> Iterator[Office]:
    standins, start = loaded(STUDENTS, "standins", "start")
    world, port = standins.World(students=MANY), free_port()
    server = postgres_servers(postgres_version)
    with (
        server.database("empty_template", lambda dsn: None) as database,
        standins.outside(world) as environment,
        start.served({**environment, "DATABASE_URL": database}, port, quiet=True),
    ):
        found = Office(port, database, world)
        found.log_in()
        jobs = "SELECT to_regclass('sereno.job') IS NOT NULL"
        wait_until(lambda: found.ask(jobs), "the schema")
        tasks = "SELECT count(*) = 8 FROM sereno.job WHERE name LIKE 'alumnos.tasks.%%'"
        wait_until(lambda: found.ask(tasks), "the eight tasks")
        yield found
        found.web.close()


@pytest.fixture(scope="module")
def enrolled(office: Office) -> Office:
    """Give the office once its first window is open and SIAL's students are here."""
    office.ask(
        "WITH gone AS (DELETE FROM alumnos_configuracion)"
        " INSERT INTO alumnos_configuracion (preinscriptos_dia_inicio, preinscriptos_dia_fin)"
        " VALUES (now() - interval '1 hour', now() + interval '1 day') RETURNING 1"
    )
    assert office.ended(office.run("ingestar_preinscriptos"))[0] == "succeeded"
    return office


def test_ingests_keep_to_their_dates(office: Office) -> None:
    assert office.ended(office.run("ingestar_preinscriptos"))[:2] == ("succeeded", NOTHING)
    now = datetime.now(UTC)
    dates = {}
    for kind, first, last in (("preinscriptos", -1, 1), ("aspirantes", -3, -1)):
        for end, days in (("inicio", first), ("fin", last)):
            at = now + timedelta(days=days)
            dates |= {f"{kind}_dia_{end}_0": f"{at:%Y-%m-%d}", f"{kind}_dia_{end}_1": "12:00:00"}
    dates |= dict.fromkeys(
        (f"ingresantes_dia_{e}_{n}" for e in ("inicio", "fin") for n in (0, 1)), ""
    )
    never = {**dates, "aspirantes_dia_fin_0": "2020-01-01", "preinscriptos_dia_fin_0": ""}
    refused = office.post("/alumnos/configuracion/add/", **never | {"preinscriptos_dia_fin_1": ""})
    assert "El fin es anterior al inicio." in refused
    assert "Falta: sin ambas fechas" in refused
    assert "1 configuración" in office.post("/alumnos/configuracion/add/", **dates)
    office.world.broken = 1  # SIAL is away for a moment: the run is tried again after a minute
    run = office.run("ingestar_preinscriptos")
    told = "SELECT error FROM sereno.attempt WHERE run_id = %s AND attempt = 1"
    retried_now(office, run)
    assert "Error 503: SIAL: " in office.ask(told, run)
    done = {"created": MANY, "updated": 0, "errors": 0}
    assert office.ended(run)[:2] == ("succeeded", done)
    again = office.run("ingestar_preinscriptos")
    assert office.ended(again)[1] == {"created": 0, "updated": MANY, "errors": 0}
    for closed in ("ingestar_aspirantes", "ingestar_ingresantes"):
        assert office.ended(office.run(closed))[1] == NOTHING


def retried_now(office: Office, run: int) -> None:
    """Have the retry of a run that has failed once begin now, and not when it is due."""
    waits = "SELECT attempt = 1 AND state = 'queued' FROM sereno.run WHERE id = %s"
    wait_until(lambda: office.ask(waits, run), "a retry")
    office.ask("UPDATE sereno.run SET run_at = now() WHERE id = %s RETURNING 1", run)


def test_a_bad_row_costs_itself_alone(enrolled: Office) -> None:
    office = enrolled
    sound = {"dni": 50_000_000, "nombre": "Ñ 🎓/\u202e", "email": None}
    bad = [
        {**sound, "dni": "x"},
        {"nombre": "?"},
        {**sound, "dni": 10**30},  # what the table cannot hold
        {**sound, "nombre": None},
        {**sound, "nombre": "n" * 201},
        {**sound, "nombre": "a\0b"},
        {**sound, "email": "no es"},
        None,
    ]
    office.world.students += [*bad, sound]
    try:
        result = office.ended(office.run("ingestar_preinscriptos"))[1]
    finally:
        del office.world.students[MANY:]
    office.ask("DELETE FROM alumnos_alumno WHERE dni = 50000000 RETURNING 1")
    assert (result["created"], result["errors"]) == (1, len(bad))


def test_accounts_are_made_once(enrolled: Office) -> None:
    office, places = enrolled, range(5)
    office.world.throttled = 1  # Graph asks for a second of patience
    five = office.students(0, 5)
    assert "5 tareas programadas." in office.action("activar_servicios_alumno", *five)
    wait_until(lambda: all(office.mailed(place) for place in places), "five mails")
    made = {upn(place) for place in places}
    assert made <= set(office.world.users)
    assert made <= office.world.licences
    assert "Subject: Sus credenciales" in office.mailed(0)[0]
    told = office.action("activar_servicios_alumno", *five)
    assert "0 tareas programadas." in told
    assert "5 ya estaban programadas" in told
    assert [len(office.mailed(place)) for place in places] == [1] * 5
    mailed = office.newest("enviar_email_credenciales")
    kept = "SELECT params ->> 'password' FROM sereno.run WHERE id = %s"
    assert office.ended(mailed)[0] == "succeeded"
    assert office.ask(kept, mailed) is None
    state, _, error = office.ended(office.run("crear_usuario_teams_async", alumno_id=five[0]))
    assert (state, "Usuario ya existe" in error) == ("failed", True)
    assert "no encontrado" in office.ended(office.run("activar_servicios_alumno", alumno_id=0))[2]


def test_an_action_takes_fifty_students_at_most(enrolled: Office) -> None:
    many = enrolled.students(60, 111)
    assert "Como mucho 50" in enrolled.action("activar_servicios_alumno", *many)
    ours = "SELECT count(*) FROM sereno.run WHERE (params ->> 'alumno_id')::int = ANY(%s)"
    assert enrolled.ask(ours, many) == 0


def test_what_was_made_is_undone_or_listed(enrolled: Office) -> None:
    office = enrolled
    one, other = office.students(5, 7)
    office.world.refuse_licences = True
    try:
        state, _, error = office.ended(office.run("crear_usuario_teams_async", alumno_id=one))
        assert (state, "no licenses left" in error) == ("failed", True)
        assert upn(5) not in office.world.users
        office.world.refuse_deletes = True
        run = office.run("crear_usuario_teams_async", alumno_id=other)
        assert office.ended(run)[0] == "failed"
        assert upn(6) in office.world.users
        assert f"queda en Teams sin licencia: {upn(6)}" in warning(office, run)
    finally:
        office.world.refuse_licences = office.world.refuse_deletes = False


def test_what_has_failed_is_run_again_from_the_table(enrolled: Office) -> None:
    office = enrolled
    (student,) = office.students(11, 12)
    office.world.refuse_licences = True
    try:
        office.action("activar_servicios_alumno", student)
        run = office.newest("activar_servicios_alumno")
        assert office.ended(run)[0] == "failed"
    finally:
        office.world.refuse_licences = False
    assert "1 ya estaba programada" in office.action("activar_servicios_alumno", student)
    office.post("/sereno/taskrun/", action="retry_selected", _selected_action=run)
    wait_until(lambda: office.mailed(11), "the mail")
    assert upn(11) in office.world.licences


def warning(office: Office, run: int) -> str:
    told = "SELECT message FROM sereno.run_warning WHERE run_id = %s"
    wait_until(lambda: office.ask(told, run), "the warning")
    return str(office.ask(told, run))


def test_a_password_is_shown_in_the_task_that_mails_none(enrolled: Office) -> None:
    office = enrolled
    office.action("crear_usuario_teams_async", *office.students(7, 8))
    run = office.newest("crear_usuario_teams_async")
    state, result, error = office.ended(run)
    assert state == "succeeded", error
    assert result["password"] == office.world.users[upn(7)]
    assert result["password"] in office.page(f"/sereno/taskrun/{run}/change/")
    assert not office.mailed(7)


def test_passwords_are_reset_and_accounts_deleted(enrolled: Office) -> None:
    office = enrolled
    (student,) = office.students(8, 9)
    office.action("activar_servicios_alumno", student)
    wait_until(lambda: office.mailed(8), "the mail")
    before = office.world.users[upn(8)]
    office.action("resetear_password_y_enviar_email", student)
    wait_until(lambda: len(office.mailed(8)) == 2, "the second mail")
    assert office.world.users[upn(8)] != before
    office.post(f"/alumnos/alumno/{student}/delete/", post="yes")
    assert office.ended(office.newest("eliminar_cuenta_externa"))[0] == "succeeded"
    assert upn(8) not in office.world.users
    assert upn(8) not in office.world.moodle
    real = office.run("eliminar_cuenta_externa", alumno_id=1, upn="rector@universidad.example")
    assert "no comienza con 'test-'" in office.ended(real)[2]


def test_what_moodle_keeps_is_listed(enrolled: Office) -> None:
    office = enrolled
    (student,) = office.students(9, 10)
    assert (
        office.ended(office.run("crear_usuario_teams_async", alumno_id=student))[0] == "succeeded"
    )
    office.world.moodle_refuses = True
    try:
        office.post(f"/alumnos/alumno/{student}/delete/", post="yes")
        run = office.newest("eliminar_cuenta_externa")
        assert f"{upn(9)} se eliminó de Teams y queda en Moodle" in warning(office, run)
    finally:
        office.world.moodle_refuses = False
    retried_now(office, run)
    assert office.ended(run)[0] == "succeeded"
    assert upn(9) not in office.world.moodle


def test_the_office_sees_its_tasks(enrolled: Office) -> None:
    office = enrolled
    office.world.students.append({"nombre": "?"})
    try:
        office.ended(office.run("ingestar_preinscriptos"))
    finally:
        del office.world.students[MANY:]
    assert office.ended(office.run("activar_servicios_alumno", alumno_id=0))[0] == "failed"
    office.action("crear_usuario_teams_async", *office.students(10, 11))
    office.ended(office.newest("crear_usuario_teams_async"))
    board = office.page("/")
    assert re.search(r"completadas en 24 horas: [1-9]", board)
    assert re.search(r"fallidas en 24 horas: [1-9]", board)
    tasks = office.page("/sereno/taskrun/", kind="alumnos.tasks.ingestar_preinscriptos")
    assert re.search(r"errors: 1, created: \d+, updated: \d+", tasks)  # as jsonb orders keys
    failed = office.page("/sereno/taskrun/", state__exact="failed", q="no encontrado")
    assert "Alumno 0 no encontrado" in failed
    assert "admin admin" in office.page("/sereno/taskrun/", q="admin admin")
    assert "SIAL: una fila no sirve" in office.page("/sereno/runline/", q="una fila")
    ours = "FROM sereno.job WHERE name LIKE 'alumnos.%%'"
    keep = f"SELECT bool_and(policies ->> 'keep_for' = 'P90D') {ours}"
    assert office.ask(keep)


def test_periodic_tasks_are_set_by_the_form(office: Office) -> None:
    at = "/sereno/periodictask/add/"
    task = {**FORM, "task": "alumnos.tasks.ingestar_ingresantes"}
    zone = "America/Argentina/Cordoba"
    crontab = {"minute": "*/30", "day_of_week": "1-5", "timezone": zone}
    first, once, last = (
        f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (1, 45, 60)
    )
    kinds: dict[str, dict[str, str]] = {
        "Ingesta horaria": {"every": "1", "period": "h"},
        "Ingesta diaria (2 AM)": {"minute": "0", "hour": "2", "timezone": zone},
        "Ingesta L-V cada 30 min": crontab,
        "Ingesta al atardecer": {"solar": "sunset", "latitude": "-31.42", "longitude": "-64.18"},
        "Ingesta única": {"clocked_0": once, "clocked_1": "10:00:00"},
    }
    for title, given in kinds.items():
        bounds = {"start_0": first, "start_1": "00:00:00", "expires_0": last}
        whole = {**task, **given, **bounds, "expires_1": "23:59:59", "title": title}
        office.post(at, **whole)
        assert title in office.page("/sereno/periodictask/")
    often = office.post(at, **{**task, "title": "A menudo", "every": "5", "period": "m"})
    assert "min_interval" in often or "30m" in often
    listed = office.page("/sereno/periodictask/")
    assert "A menudo" not in listed
    assert "cron */30 * * * 1-5 America/Argentina/Cordoba" in listed


@pytest.mark.parametrize(
    "width",
    [
        1280,
        pytest.param(
            360,
            marks=pytest.mark.long(
                "tests/examples/test_students.py::test_the_admin_s_own_pages_are_fit_for_everybody"
            ),
        ),
    ],
)
async def test_the_admin_s_own_pages_are_fit_for_everybody(enrolled: Office, width: int) -> None:
    wcag = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    django_s = {"exclude": [[".breadcrumbs"], ["#toolbar"]]}
    run = enrolled.newest("ingestar_preinscriptos")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        context = await browser.new_context(viewport={"width": width, "height": 800}, locale="es")
        await context.add_cookies(
            [
                {"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}
                for name, value in enrolled.web.cookies.items()
            ]
        )
        page = await context.new_page()
        base = str(enrolled.web.base_url).rstrip("/")
        for path in ("", "taskrun/", f"taskrun/{run}/change/", "runline/", "periodictask/add/"):
            await page.goto(f"{base}/sereno/{path}" if path else f"{base}/")
            found = await Axe().run(page, context=django_s, options={"runOnly": wcag})
            assert found.violations_count == 0, (path, found.generate_report())
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            styled = "[...document.styleSheets].some(s => s.href?.includes('sereno_django'))"
            assert await page.evaluate(styled) or path == "runline/", path
        await browser.close()
