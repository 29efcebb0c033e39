"""Settings of the student service; what differs between places comes from the environment."""

from typing import Annotated

from msgspec import Meta

from sereno import variable
from sereno_django import database_entry

Port = Annotated[int, Meta(ge=1, le=65535)]
Address = Annotated[
    str, Meta(pattern=r"^https?://[^/\s]", description="an address, as https://host")
]

SECRET_KEY = variable("SECRET_KEY", "change me")
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "America/Argentina/Cordoba"
LANGUAGE_CODE = "es"
ROOT_URLCONF = "lucy.urls"
WSGI_APPLICATION = "lucy.wsgi.application"
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "sereno_django",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "alumnos",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": database_entry(variable("DATABASE_URL", "postgresql:///lucy"))}
EMAIL_HOST = variable("MAIL_HOST", "127.0.0.1")
EMAIL_PORT = variable("MAIL_PORT", 25, Port)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = "lucy@universidad.example"

MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

SIAL_URL = variable("SIAL_URL", "http://127.0.0.1:9001/sial", Address)
GRAPH_URL = variable("GRAPH_URL", "http://127.0.0.1:9001/graph", Address)
MOODLE_URL = variable("MOODLE_URL", "http://127.0.0.1:9001/moodle", Address)
DOMAIN = variable("DOMAIN", "universidad.example")
TEST_PREFIX = "test-"
"""Only accounts that begin so are ever deleted."""

SERENO = {
    "HTTP": {"ENABLED": False},
    "PLUGINS": {"CLEANUP": {"LOGS_ENABLED": False, "SESSIONS_SCHEDULE": "cron 15 * * * *"}},
}
