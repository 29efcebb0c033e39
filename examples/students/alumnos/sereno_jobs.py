"""The tasks of the service. An ingest has the schedules of an admin; the others are asked for."""

from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import DataError, transaction
from django.utils import timezone

import sereno_django
from alumnos import servicios
from alumnos.models import Alumno, Configuracion
from sereno import FinalError, RunContext, Secret, Snooze, job, retry

TIPOS = {"preinscriptos": "preinscripto", "aspirantes": "aspirante", "ingresantes": "ingresante"}
KEPT = {"keep_for": "90d"}
OUTSIDE = {
    "timeout": "2m",
    "retry": retry(3, delay="10s"),
    "concurrency": {"key": "graph", "limit": 1},
}


class Pedido(msgspec.Struct, frozen=True, kw_only=True):
    """Of which student."""

    alumno_id: int


class Cuenta(Pedido, frozen=True, kw_only=True):
    """And of which account."""

    upn: str


class Credenciales(Cuenta, frozen=True, kw_only=True):
    """With the password, which is emptied once the run is over."""

    password: Annotated[str, Secret]


def _ingesta(tipo: str, estado: str) -> Any:
    @job(
        f"alumnos.tasks.ingestar_{tipo}",
        title=f"Ingesta de {tipo}",
        min_interval="30m",
        timeout="30m",
        retry=retry(3, delay="1m"),
        **KEPT,
    )
    def ingestar(run: RunContext) -> dict[str, Any]:
        """Create and update students from SIAL, within the dates that an admin has set."""
        configuracion = Configuracion.objects.first()
        if configuracion is None or not configuracion.abierta(tipo, timezone.now()):
            run.log.info("fuera del rango de fechas configurado: no se hace nada")
            return {"created": 0, "updated": 0, "errors": 0, "detalle": "fuera de fechas"}
        hecho = run.saved or {"page": 0, "created": 0, "updated": 0, "errors": 0}
        with servicios.web() as cliente:
            while hecho["page"] < hecho.get("pages", 1):
                datos = servicios.pagina_de_sial(cliente, tipo, hecho["page"] + 1)
                for uno in datos["alumnos"]:
                    hecho[_guardar(run, uno, estado)] += 1
                hecho |= {"page": hecho["page"] + 1, "pages": datos["pages"]}
                run.checkpoint(hecho)
                run.progress(hecho["page"], hecho["pages"])
        return {nombre: hecho[nombre] for nombre in ("created", "updated", "errors")}

    return ingestar


def _guardar(run: RunContext, uno: dict[str, Any], estado: str) -> str:
    """Create or update one student; return as what it counts. One bad row costs itself alone."""
    try:
        with transaction.atomic():
            nuevo = {"nombre": uno["nombre"], "email": uno["email"] or "", "estado": estado}
            dni = int(uno["dni"])
            Alumno(dni=dni, **nuevo).clean_fields()
            _, creado = Alumno.objects.update_or_create(dni=dni, defaults=nuevo)
    except (KeyError, TypeError, ValueError, ValidationError, DataError) as error:
        run.warn(f"SIAL: una fila no sirve: {type(error).__name__}: {error}")
        return "errors"
    return "created" if creado else "updated"


ingestar_preinscriptos = _ingesta("preinscriptos", "preinscripto")
ingestar_aspirantes = _ingesta("aspirantes", "aspirante")
ingestar_ingresantes = _ingesta("ingresantes", "ingresante")


@job(
    "alumnos.tasks.activar_servicios_alumno",
    params=Pedido,
    title="Activar Teams y enviar email",
    unique_for="30d",
    **OUTSIDE,
    **KEPT,
)
def activar_servicios_alumno(run: RunContext[Pedido]) -> dict[str, Any]:
    """Create the user, give it its licence, and have the credentials sent."""
    alumno = _alumno(run)
    if not alumno.email:
        raise FinalError(f"Alumno {alumno.pk} no tiene email: no se crea la cuenta")
    upn, password = _crear(run, alumno)
    mail = _enviar(alumno, upn, password)
    return {"upn": upn, "email": alumno.email, "mail_run": mail}


@job(
    "alumnos.tasks.crear_usuario_teams_async",
    params=Pedido,
    title="Crear usuario en Teams",
    **OUTSIDE,
    **KEPT,
)
def crear_usuario_teams_async(run: RunContext[Pedido]) -> dict[str, Any]:
    """Create the user without a mail; the details show the password to who may see it."""
    upn, password = _crear(run, _alumno(run))
    return {"upn": upn, "password": password}


@job(
    "alumnos.tasks.resetear_password_y_enviar_email",
    params=Pedido,
    title="Generar contraseña y enviar correo",
    **OUTSIDE,
    **KEPT,
)
def resetear_password_y_enviar_email(run: RunContext[Pedido]) -> dict[str, Any]:
    """Set a new password and have it sent."""
    alumno = _alumno(run)
    if not alumno.upn:
        raise FinalError(f"Alumno {alumno.pk} no tiene usuario en Teams: actívelo primero")
    password = servicios.nueva_password()
    with servicios.web() as cliente:
        servicios.cambiar_password(cliente, alumno.upn, password)
    return {"upn": alumno.upn, "mail_run": _enviar(alumno, alumno.upn, password)}


@job(
    "alumnos.tasks.enviar_email_credenciales",
    params=Credenciales,
    title="Enviar credenciales",
    timeout="1m",
    retry=retry(5, delay="30s"),
    **KEPT,
)
def enviar_email_credenciales(run: RunContext[Credenciales]) -> dict[str, Any]:
    """Send a student's credentials."""
    alumno = _alumno(run)
    texto = (
        f"Hola {alumno.nombre}:\n\nUsuario: {run.params.upn}\nContraseña: {run.params.password}\n"
    )
    send_mail("Sus credenciales", texto, settings.DEFAULT_FROM_EMAIL, [alumno.email])
    return {"count": 1, "email": alumno.email}


@job(
    "alumnos.tasks.eliminar_cuenta_externa",
    params=Cuenta,
    title="Eliminar cuenta externa",
    **OUTSIDE,
    **KEPT,
)
def eliminar_cuenta_externa(run: RunContext[Cuenta]) -> dict[str, Any]:
    """Delete the account in Teams and Moodle, if it begins with ``test-``."""
    upn = run.params.upn
    if not upn.startswith(settings.TEST_PREFIX):
        raise FinalError(f"{upn} no comienza con '{settings.TEST_PREFIX}': no se elimina")
    with servicios.web() as cliente:
        servicios.borrar_usuario(cliente, upn)
        try:
            servicios.borrar_en_moodle(cliente, upn)
        except servicios.ServicioError:
            run.warn(f"{upn} se eliminó de Teams y queda en Moodle")
            raise
    return {"deleted": 1, "upn": upn}


def _alumno(run: RunContext[Any]) -> Alumno:
    alumno = Alumno.objects.filter(pk=run.params.alumno_id).first()
    if alumno is None:
        raise FinalError(f"Alumno {run.params.alumno_id} no encontrado")
    return alumno


def _crear(run: RunContext[Any], alumno: Alumno) -> tuple[str, str]:
    """Create the user with its licence; what was made is undone, or listed, when that fails.

    A run that was cut off between the two goes on behind the user that it has made.
    """
    upn = f"{settings.TEST_PREFIX}{alumno.dni}@{settings.DOMAIN}"
    password = servicios.nueva_password()
    with servicios.web() as cliente:
        if run.saved == upn:
            servicios.cambiar_password(cliente, upn, password)
        else:
            servicios.crear_usuario(cliente, upn, alumno.nombre, password)
            run.checkpoint(upn)
        try:
            servicios.asignar_licencia(cliente, upn)
        except Snooze:
            raise  # it is asked for again in a while
        except Exception:
            _deshacer(run, cliente, upn)
            raise
    alumno.upn = upn
    alumno.save(update_fields=["upn"])
    return upn, password


def _deshacer(run: RunContext[Any], cliente: Any, upn: str) -> None:
    try:
        servicios.borrar_usuario(cliente, upn)
        run.checkpoint(None)
        run.log.warning("se deshizo el usuario %s: no tuvo licencia", upn)
    except Exception as error:
        run.warn(f"queda en Teams sin licencia: {upn} ({error})")


def _enviar(alumno: Alumno, upn: str, password: str) -> int:
    params = Credenciales(alumno_id=alumno.pk, upn=upn, password=password)
    return sereno_django.enqueue(enviar_email_credenciales, params).run
