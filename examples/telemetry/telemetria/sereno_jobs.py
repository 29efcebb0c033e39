"""The two tasks: every two minutes what is new comes from PanAccess, and then it is merged."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Subquery

from sereno import RunContext, every, job, retry
from sereno_django import fence
from telemetria.models import FIN, INICIO, Avance, MergedTelemetricOTT, TelemetryRecordEntry
from telemetria.panaccess import PanAccess

# Celery's max_retries=3, default_retry_delay=60: three after the first, all a minute apart.
REINTENTOS = retry(4, delay=timedelta(seconds=settings.TELEMETRY_RETRY_SECONDS), factor=1, jitter=0)
LOTE = 1000


class Sincronizado(msgspec.Struct, kw_only=True):
    """What a sync found. `highest_id_after`: up to which record nothing is missing here."""

    downloaded: int = 0
    saved: int = 0
    errors: int = 0
    highest_id_before: int = 0
    highest_id_after: int = 0


class Fusion(msgspec.Struct, frozen=True, kw_only=True):
    """Up to which record to merge; without one, up to what the last sync has reached."""

    highest_id_after: int | None = None


@job(
    "telemetria.sync",
    title="Sincronización de telemetría",
    schedule=every(timedelta(seconds=settings.TELEMETRY_SYNC_SECONDS)),
    timeout="10m",
    retry=REINTENTOS,
    overdue_after="10m",
    severity="critical",
)
def sync(run: RunContext) -> Sincronizado:
    """Save what PanAccess has that is newer than what is here.

    Its pages begin with the newest record, so what is missing is known to be here only at the end:
    each page is a transaction, and the last one moves `Avance`. An attempt after a failure goes on
    at the page that failed; what came meanwhile has moved the pages on, so none is left out.
    """
    avance, _ = Avance.objects.get_or_create(pk=1)
    antes = avance.sincronizado
    guardado = run.saved or {"offset": 0, "found": {"highest_id_before": antes}}
    hecho = msgspec.convert(guardado["found"], Sincronizado)
    offset = guardado["offset"]
    with PanAccess() as servicio:
        while pagina := servicio.registros(offset):
            nuevos = [uno for uno in pagina if not _conocido(uno, antes)]
            _guardar(run, nuevos, hecho)
            offset += len(pagina)
            run.checkpoint({"offset": offset, "found": msgspec.to_builtins(hecho)})
            run.progress(hecho.downloaded)
            if len(nuevos) < len(pagina):
                break
    hecho.highest_id_after = max(antes, hecho.highest_id_after)
    with transaction.atomic():
        fence(run)
        Avance.objects.filter(pk=1).update(sincronizado=hecho.highest_id_after)
    run.log.info("%(saved)d guardados, hasta el %(highest_id_after)d", msgspec.to_builtins(hecho))
    return hecho


@job(
    "telemetria.merge",
    title="Fusión OTT",
    after="telemetria.sync",
    params=Fusion,
    params_from={"highest_id_after": "result.highest_id_after"},
    timeout="10m",
    retry=REINTENTOS,
)
def merge(run: RunContext[Fusion]) -> dict[str, Any]:
    """Give each end of a view the name that its beginning has; all of them or none."""
    hasta = run.params.highest_id_after
    if hasta is None:
        hasta = Avance.objects.aggregate(hasta=Max("sincronizado"))["hasta"] or 0
    hasta_ahi = TelemetryRecordEntry.objects.filter(record_id__lte=hasta)
    nombre = (
        hasta_ahi.filter(action_id=INICIO, data_id=OuterRef("data_id"))
        .exclude(data_name="")
        .order_by("-record_id")
        .values("data_name")[:1]
    )
    listos = MergedTelemetricOTT.objects.filter(pk=OuterRef("pk"))
    pendientes = (
        hasta_ahi.filter(~Exists(listos), action_id=FIN)
        .annotate(nombre=Subquery(nombre))
        .exclude(nombre=None)
    )
    campos = [campo.name for campo in MergedTelemetricOTT._meta.fields]
    merged = 0
    with transaction.atomic():
        fence(run)
        filas = (
            MergedTelemetricOTT(**{c: getattr(uno, c) for c in campos} | {"data_name": uno.nombre})
            for uno in pendientes.iterator(chunk_size=LOTE)
        )
        while lote := list(islice(filas, LOTE)):
            MergedTelemetricOTT.objects.bulk_create(lote)
            merged += len(lote)
            run.progress(merged)
    return {"merged": merged, "highest_id": hasta}


def _conocido(uno: Any, antes: int) -> bool:
    numero = uno.get("recordId") if isinstance(uno, dict) else None
    return isinstance(numero, int) and numero <= antes


def _guardar(run: RunContext, nuevos: list[Any], hecho: Sincronizado) -> None:
    """Save a page in one transaction; one bad record costs itself alone."""
    filas = []
    for uno in nuevos:
        try:
            filas.append(_fila(uno))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            hecho.errors += 1
            run.warn(f"PanAccess: un registro no sirve: {type(error).__name__}: {error}")
    with transaction.atomic():
        fence(run)
        numeros = [fila.pk for fila in filas]
        ya = set(TelemetryRecordEntry.objects.filter(pk__in=numeros).values_list("pk", flat=True))
        TelemetryRecordEntry.objects.bulk_create(
            [fila for fila in filas if fila.pk not in ya], ignore_conflicts=True
        )
    hecho.downloaded += len(nuevos)
    hecho.saved += len(filas) - len(ya)
    hecho.highest_id_after = max([hecho.highest_id_after, *numeros])


def _fila(uno: dict[str, Any]) -> TelemetryRecordEntry:
    """Return the row of a record, with day and hour; raises what is wrong with it."""
    if not isinstance(uno, dict):
        raise TypeError("no es un objeto")
    if any("\0" in texto for texto in uno.values() if isinstance(texto, str)):
        raise ValueError("tiene un carácter nulo")
    zona = ZoneInfo(settings.PANACCESS_TIME_ZONE)
    en = datetime.fromisoformat(uno["timestamp"]).replace(tzinfo=zona)
    fila = TelemetryRecordEntry(
        record_id=int(uno["recordId"]),
        subscriber_code=uno.get("subscriberCode") or "",
        device_id=uno.get("deviceId"),
        action_id=int(uno["actionId"]),
        action_key=uno.get("actionKey") or "",
        data_id=uno.get("dataId"),
        data_name=(uno.get("dataName") or "")[:200],
        data_duration=uno.get("dataDuration"),
        timestamp=en,
        data_date=en.date(),
        time_date=en.hour,
    )
    fila.clean_fields()  # what the table would refuse is this record's fault, not its page's
    return fila
