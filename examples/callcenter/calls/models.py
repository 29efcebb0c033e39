"""What the call center keeps of each day, and the reports that are there."""

from django.db import models


class DaySummary(models.Model):
    """The consolidated figures of a day."""

    day = models.DateField(primary_key=True)
    calls = models.IntegerField()
    answered = models.IntegerField()
    abandoned = models.IntegerField()

    class Meta:
        ordering = ["-day"]
        verbose_name = "resumen del día"
        verbose_name_plural = "resúmenes de los días"

    def __str__(self):
        return str(self.day)


class Report(models.Model):
    """A report that sereno-reports keeps."""

    TITLES = {
        "daily": "Informe del día",
        "weekly": "Informe de la semana",
        "monthly": "Informe del mes",
    }

    name = models.TextField()
    day = models.DateField()
    revision = models.IntegerField()
    html = models.TextField()

    class Meta:
        managed = False
        db_table = 'sereno_reports"."report'
        ordering = ["-day", "name", "-revision"]

    @property
    def title(self):
        return self.TITLES.get(self.name, self.name)
