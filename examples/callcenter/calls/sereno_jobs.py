"""The call center's own job: what its decision calls consolidated metrics, by Django's ORM.

sereno-django finds this module by its name, in each installed app.
"""

import logging
from datetime import timedelta

from django.db import connection

from calls.models import DaySummary
from sereno import RunContext, job

logger = logging.getLogger(__name__)

OF_DAYS = """
SELECT (quarter AT TIME ZONE 'Europe/Madrid')::date AS day,
       sum(calls)::int, sum(calls_answered)::int, sum(calls_abandoned)::int
FROM ivr.quarter_hours WHERE direction = 'inbound' AND quarter >= %s GROUP BY 1 ORDER BY 1
"""


@job("calls.summary", after="etl_ivr.aggregate", timeout="5m", severity="warning")
def summary(run: RunContext) -> dict[str, int]:
    """Write the figures of each of the last days into the table of Django's own."""
    with connection.cursor() as cursor:
        cursor.execute(OF_DAYS, [run.now() - timedelta(days=35)])
        rows = cursor.fetchall()
    for day, calls, answered, abandoned in rows:
        DaySummary.objects.update_or_create(
            day=day, defaults={"calls": calls, "answered": answered, "abandoned": abandoned}
        )
    logger.info("Métricas: consolidación completada", extra={"days": len(rows)})
    return {"days": len(rows)}
