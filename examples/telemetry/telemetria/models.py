"""What came from PanAccess, what was made of it, and how far both are."""

from django.db import models

INICIO, FIN = 7, 8
"""Actions of OTT: a channel was opened, and closed again. The first alone names the channel."""


class Registro(models.Model):
    """What both kinds of record have. `data_duration`: seconds; `time_date`: the hour."""

    record_id = models.BigIntegerField(primary_key=True)
    subscriber_code = models.CharField(max_length=50, blank=True)
    data_id = models.BigIntegerField(blank=True, null=True)
    data_name = models.CharField(max_length=200, blank=True)
    data_duration = models.IntegerField(blank=True, null=True)
    timestamp = models.DateTimeField()
    data_date = models.DateField(db_index=True)
    time_date = models.SmallIntegerField()

    class Meta:
        abstract = True
        ordering = ("-record_id",)

    def __str__(self):
        return f"{self.record_id} {self.subscriber_code} {self.data_name}"


class TelemetryRecordEntry(Registro):
    """A record as PanAccess has it, with its day and hour."""

    device_id = models.BigIntegerField(blank=True, null=True)
    action_id = models.IntegerField()
    action_key = models.CharField(max_length=50, blank=True)

    class Meta(Registro.Meta):
        verbose_name = "registro"
        indexes = [models.Index(fields=("action_id", "data_id", "record_id"), name="ott")]


class MergedTelemetricOTT(Registro):
    """The end of a view (8) with the name of what was seen, which the beginning (7) has."""

    class Meta(Registro.Meta):
        verbose_name = "visualización"
        verbose_name_plural = "visualizaciones"


class Avance(models.Model):
    """The one row that says up to which record all that PanAccess had is here."""

    sincronizado = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "avance"

    def __str__(self):
        return f"hasta {self.sincronizado}"
