"""Students, and the windows of dates in which they are ingested."""

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

import sereno_django

TIPOS = ("preinscriptos", "aspirantes", "ingresantes")
ESTADOS = ("preinscripto", "aspirante", "ingresante")


class Alumno(models.Model):
    """A student as SIAL has them. `upn`: the account in Teams, once there is one."""

    dni = models.BigIntegerField(unique=True)
    nombre = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    estado = models.CharField(max_length=20, choices=[(e, e) for e in ESTADOS])
    upn = models.CharField(max_length=200, blank=True)

    def __str__(self):
        return f"{self.nombre} ({self.dni})"


class Configuracion(models.Model):
    """The one row that an admin edits: outside of its window an ingest does nothing."""

    preinscriptos_dia_inicio = models.DateTimeField(null=True, blank=True)
    preinscriptos_dia_fin = models.DateTimeField(null=True, blank=True)
    aspirantes_dia_inicio = models.DateTimeField(null=True, blank=True)
    aspirantes_dia_fin = models.DateTimeField(null=True, blank=True)
    ingresantes_dia_inicio = models.DateTimeField(null=True, blank=True)
    ingresantes_dia_fin = models.DateTimeField(null=True, blank=True)

    class Meta:
        """There is one."""

        verbose_name = verbose_name_plural = "configuración"

    def __str__(self):
        return "Configuración"

    def clean(self):
        """Refuse a window that would never be open, which nobody would notice for weeks."""
        faltas = {}
        for tipo in TIPOS:
            inicio, fin = getattr(self, f"{tipo}_dia_inicio"), getattr(self, f"{tipo}_dia_fin")
            if (inicio is None) != (fin is None):
                falta = f"{tipo}_dia_{'inicio' if inicio is None else 'fin'}"
                faltas[falta] = "Falta: sin ambas fechas no se ingesta nada."
            elif inicio is not None and inicio > fin:
                faltas[f"{tipo}_dia_fin"] = "El fin es anterior al inicio."
        if faltas:
            raise ValidationError(faltas)

    def abierta(self, tipo, ahora):
        """Tell whether `ahora` is in the window of `tipo`; without both ends it never is."""
        inicio, fin = getattr(self, f"{tipo}_dia_inicio"), getattr(self, f"{tipo}_dia_fin")
        return None not in (inicio, fin) and inicio <= ahora <= fin


@receiver(post_delete, sender=Alumno)
def eliminar_cuenta(instance, using, **_):
    """Have the account deleted in the transaction that deletes the student."""
    if instance.upn:
        with transaction.atomic(using=using):
            params = {"alumno_id": instance.pk, "upn": instance.upn}
            sereno_django.enqueue("alumnos.tasks.eliminar_cuenta_externa", params, using=using)
