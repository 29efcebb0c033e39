"""PanAccess, as its documentation has it: functions over HTTP, faults with status 200."""

import hashlib
import logging

import httpx
from django.conf import settings

from sereno import FinalError, Snooze

log = logging.getLogger(__name__)
PAGINA = 1000
"""Records: PanAccess gives no more of them at once."""
SIN_SESION = ("no_access_to_function", "session_expired", "not_logged_in")


class PanAccessError(Exception):
    """PanAccess refuses, or does not answer as it should: another attempt may help."""


class PanAccess:
    """A session. Within ``with`` it logs in, and once more where PanAccess has forgotten it."""

    def __enter__(self):
        self._web = httpx.Client(timeout=30)
        try:
            self._entrar()
        except BaseException:
            self._web.close()
            raise
        return self

    def __exit__(self, *_):
        self._web.close()

    def registros(self, offset):
        """Return a page of telemetry, the newest record first."""
        datos = {"offset": offset, "limit": PAGINA, "orderBy": "recordId", "orderDir": "DESC"}
        return self.llamar("getListOfTelemetryRecords", datos)["telemetryRecordEntries"]

    def llamar(self, funcion, datos):
        """Return the answer of a function."""
        respuesta = self._pedir(funcion, {**datos, "sessionId": self._sesion})
        if respuesta.get("errorCode") in SIN_SESION:
            log.info("la sesión venció: se entra de nuevo")
            self._entrar()
            respuesta = self._pedir(funcion, {**datos, "sessionId": self._sesion})
        if not respuesta.get("success"):
            raise PanAccessError(f"{funcion}: {_motivo(respuesta)}")
        log.info("%s %s: respondido", funcion, datos)
        return respuesta["answer"]

    def _entrar(self):
        clave = settings.PANACCESS_PASSWORD + settings.PANACCESS_SALT
        datos = {
            "username": settings.PANACCESS_USERNAME,
            # As PanAccess wants it; it is no protection of the password.
            "password": hashlib.md5(clave.encode(), usedforsecurity=False).hexdigest(),
            "apiToken": settings.PANACCESS_API_TOKEN,
        }
        respuesta = self._pedir("login", datos)
        if not respuesta.get("success") or not respuesta.get("answer"):
            raise FinalError(f"PanAccess no deja entrar: {_motivo(respuesta)}")
        self._sesion = respuesta["answer"]

    def _pedir(self, funcion, datos):
        """Ask; a throttled call puts the run off for as long as PanAccess says."""
        lugar = {"f": funcion, "requestMode": "function"}
        respuesta = self._web.post(settings.PANACCESS_URL, params=lugar, data=datos)
        if respuesta.status_code == 429:
            raise Snooze.retry_after(
                respuesta.headers.get("Retry-After"), reason="PanAccess pide esperar"
            )
        respuesta.raise_for_status()
        try:
            hallado = respuesta.json()
        except ValueError as error:
            raise PanAccessError(f"{funcion}: la respuesta no es JSON") from error
        if not isinstance(hallado, dict):
            raise PanAccessError(f"{funcion}: la respuesta no es un objeto")
        return hallado


def _motivo(respuesta):
    return respuesta.get("errorMessage") or respuesta.get("errorCode") or "usuario o contraseña"
