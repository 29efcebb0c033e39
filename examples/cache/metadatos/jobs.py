"""The clean-up of the cache, in each process that holds one, with its figures and its warnings."""

import os
import time

import msgspec

from metadatos.cache import Cache
from sereno import Message, RunContext, cron, job

FULL, FEW = 0.9, 60.0
"""Above which share of its size, and below which percentage of hits, people are told."""


class Figures(msgspec.Struct, kw_only=True):
    """What a clean-up did, in the order in which it is told."""

    timestamp: str
    entries_before: int
    entries_after: int
    entries_removed: int
    memory_freed_kb: int
    duration_ms: float
    hit_rate: float | None
    evictions: int

    def __str__(self) -> str:
        return (
            f"Limpieza completada: {self.entries_removed} entradas eliminadas, "
            f"~{self.memory_freed_kb}KB liberados, duración: {self.duration_ms}ms, "
            f"hit rate: {'-' if self.hit_rate is None else self.hit_rate}%"
        )


@job(
    "cache.cleanup",
    title="cache_cleanup_hourly",
    schedule=cron("0 * * * *"),
    scope="node",
    executor="host",
    timeout="5m",
    overdue_after="2h",
)
async def cleanup_expired_cache(run: RunContext) -> Figures:
    """Take away what has expired from this process's cache, and say how it serves."""
    cache: Cache = run.state
    run.log.info("Iniciando limpieza programada de caché de metadatos")
    began = time.perf_counter()
    try:
        cleaned = cache.clean()
    except Exception as error:  # told as a warning too, and then as a run that failed
        warn(run, "errores", f"Error durante limpieza de caché: {type(error).__name__}: {error}")
        raise
    figures = Figures(
        timestamp=run.now().isoformat(),
        entries_before=cleaned.before,
        entries_after=cleaned.after,
        entries_removed=cleaned.before - cleaned.after,
        memory_freed_kb=cleaned.freed_bytes // 1024,
        duration_ms=round(1000 * (time.perf_counter() - began), 2),
        hit_rate=cache.hit_rate,
        evictions=cache.evictions,
    )
    run.log.info("%s", figures)
    taken = cleaned.after / cache.max_size
    if taken > FULL:
        warn(
            run,
            "capacidad",
            f"Caché al {taken:.1%} de capacidad ({cleaned.after}/{cache.max_size}). "
            "Considere aumentar max_size o reducir TTL.",
        )
    if figures.hit_rate is not None and figures.hit_rate < FEW:
        warn(run, "aciertos", f"Hit rate de {figures.hit_rate}%, menos de {FEW:.0f}%")
    return figures


def warn(run: RunContext, kind: str, sentence: str) -> None:
    """Keep a warning with the run, and tell people: once a day of a kind, for each process."""
    run.warn(sentence)
    key = f"{kind}/{os.getpid()}/{run.now():%Y-%m-%d}"
    run.notify(Message(f"Caché de metadatos: {kind}", sentence, severity="warning"), key=key)
