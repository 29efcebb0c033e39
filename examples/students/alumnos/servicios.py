"""The services outside: SIAL, Microsoft Graph and Moodle, as their documentation has them."""

import secrets

import httpx
from django.conf import settings

from sereno import FinalError, Snooze

LICENCIA = "e578b273-6db4-4691-bba0-8d691f4da603"


class ServicioError(Exception):
    """A service does not answer, or is at fault: another attempt may help."""


def nueva_password():
    """Return a password that Graph's rules accept: three kinds of characters."""
    return f"Aa1-{secrets.token_urlsafe(9)}"


def web():
    """Return a client of HTTP whose calls end."""
    return httpx.Client(timeout=20)


def pedir(cliente, metodo, url, **datos):
    """Ask, and return the answer; a throttled call puts the run off for as long as it says."""
    servicio = _servicio(url)
    try:
        respuesta = cliente.request(metodo, url, **datos)
    except httpx.TransportError as fallo:
        motivo = str(fallo) or type(fallo).__name__
        raise ServicioError(f"Error de conexión: {servicio} no responde ({motivo})") from fallo
    if respuesta.status_code == 429:
        espera = respuesta.headers.get("Retry-After")
        raise Snooze.retry_after(espera, reason=f"{servicio} pide esperar")
    return respuesta


def _servicio(url):
    """Return what people call the service at an address."""
    nombres = {settings.SIAL_URL: "SIAL", settings.GRAPH_URL: "Teams"}
    return next((its for base, its in nombres.items() if url.startswith(base)), "Moodle")


def crear_usuario(cliente, upn, nombre, password):
    """Create the user in Teams; raises FinalError where it exists."""
    datos = {
        "accountEnabled": True,
        "displayName": nombre,
        "mailNickname": upn.partition("@")[0],
        "userPrincipalName": upn,
        "passwordProfile": {"password": password, "forceChangePasswordNextSignIn": True},
        "usageLocation": "AR",
    }
    respuesta = pedir(cliente, "POST", f"{settings.GRAPH_URL}/users", json=datos)
    if respuesta.status_code == 400 and "already exists" in respuesta.text:
        raise FinalError(f"Usuario ya existe: {upn}")
    _comprobar(respuesta)


def asignar_licencia(cliente, upn):
    """Give the user Microsoft 365."""
    datos = {"addLicenses": [{"skuId": LICENCIA, "disabledPlans": []}], "removeLicenses": []}
    _comprobar(
        pedir(cliente, "POST", f"{settings.GRAPH_URL}/users/{upn}/assignLicense", json=datos)
    )


def cambiar_password(cliente, upn, password):
    """Set the user's password."""
    datos = {"passwordProfile": {"password": password, "forceChangePasswordNextSignIn": True}}
    _comprobar(pedir(cliente, "PATCH", f"{settings.GRAPH_URL}/users/{upn}", json=datos))


def borrar_usuario(cliente, upn):
    """Delete the user in Teams; one who is gone is deleted."""
    respuesta = pedir(cliente, "DELETE", f"{settings.GRAPH_URL}/users/{upn}")
    if respuesta.status_code != 404:
        _comprobar(respuesta)


def borrar_en_moodle(cliente, upn):
    """Delete the user in Moodle, which answers faults with status 200."""
    datos = {
        "wsfunction": "core_user_delete_users",
        "userids[0]": upn,
        "moodlewsrestformat": "json",
    }
    respuesta = pedir(
        cliente, "POST", f"{settings.MOODLE_URL}/webservice/rest/server.php", data=datos
    )
    _comprobar(respuesta)
    hallado = respuesta.json() if respuesta.content else None
    if isinstance(hallado, dict) and "exception" in hallado:
        raise ServicioError(f"Moodle: {hallado.get('message', hallado['exception'])}")


def pagina_de_sial(cliente, tipo, pagina):
    """Return one page of SIAL's students."""
    respuesta = pedir(
        cliente, "GET", f"{settings.SIAL_URL}/alumnos", params={"tipo": tipo, "page": pagina}
    )
    _comprobar(respuesta)
    return respuesta.json()


def _comprobar(respuesta):
    """Raise what is wrong: a refusal is final, a fault of the server's may pass."""
    if respuesta.is_success:
        return
    servicio = _servicio(str(respuesta.request.url))
    fallo = f"Error {respuesta.status_code}: {servicio}: {respuesta.text[:300]}"
    raise (FinalError if respuesta.status_code in (400, 401, 403, 404) else ServicioError)(fallo)
