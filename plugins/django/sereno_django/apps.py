"""The plugin as a Django app: ``INSTALLED_APPS = [..., "sereno_django"]``."""

import os
from contextlib import suppress

from django.apps import AppConfig
from django.conf import settings

from sereno import ConfigurationError
from sereno_django.environment import lay_under, variables


class SerenoConfig(AppConfig):
    """Has the models of the admin and ``manage.py sereno``."""

    name = "sereno_django"
    label = "sereno"
    verbose_name = "Sereno"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Lay the project's settings under the environment of who serves it, so that plugins are
        loaded here as in a node. What is wrong with them, who starts a node is told."""
        if os.environ.get("DJANGO_SETTINGS_MODULE"):
            with suppress(ConfigurationError):
                found = variables(
                    getattr(settings, "SERENO", {}), settings.DATABASES, settings.TIME_ZONE
                )
                lay_under(os.environ, found)
