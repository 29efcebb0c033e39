"""What the office works with."""

from django.contrib import admin

from alumnos.models import Alumno, Configuracion
from sereno_django.admin import enqueue_action


def _accion(tarea, descripcion):
    return enqueue_action(
        f"alumnos.tasks.{tarea}", descripcion, arguments=lambda alumno: {"alumno_id": alumno.pk}
    )


@admin.register(Alumno)
class AlumnoAdmin(admin.ModelAdmin):
    """At most 50 students at once, and none is activated twice."""

    list_display = ("dni", "nombre", "email", "estado", "upn")
    list_filter = ("estado",)
    search_fields = ("dni", "nombre", "email")
    list_per_page = 100
    actions = (
        _accion("activar_servicios_alumno", "🚀 Activar Teams + Enviar Email"),
        _accion("crear_usuario_teams_async", "👤 Crear usuario en Teams (sin email)"),
        _accion("resetear_password_y_enviar_email", "🔄 Generar contraseña y enviar correo"),
    )


@admin.register(Configuracion)
class ConfiguracionAdmin(admin.ModelAdmin):
    """One row."""

    def has_add_permission(self, request):
        """Return whether there is none yet."""
        return super().has_add_permission(request) and not Configuracion.objects.exists()
