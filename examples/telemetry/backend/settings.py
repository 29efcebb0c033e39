"""Settings of the telemetry service; what differs between places comes from the environment."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from sereno import ConfigurationError, TriggerError, find_zone, variable
from sereno_django import database_entry

Seconds = Annotated[float, Meta(gt=0, description="a number of seconds above 0")]
Address = Annotated[
    str, Meta(pattern=r"^https?://[^/\s]", description="an address, as https://host")
]

LOGS = Path(variable("TELEMETRY_LOGS", str(Path(__file__).parents[1] / "logs")))
try:
    LOGS.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise ConfigurationError(f"TELEMETRY_LOGS: {LOGS}: {error.strerror}") from None

SECRET_KEY = variable("SECRET_KEY", "change me")
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "America/Argentina/Cordoba"
LANGUAGE_CODE = "es"
ROOT_URLCONF = "backend.urls"
WSGI_APPLICATION = "backend.wsgi.application"
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
    "telemetria",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
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
DATABASES = {"default": database_entry(variable("DATABASE_URL", "postgresql:///telemetria"))}

PANACCESS_URL = variable("PANACCESS_URL", "https://cv01.panaccess.com/", Address)
PANACCESS_USERNAME = variable("PANACCESS_USERNAME", "")
PANACCESS_PASSWORD = variable("PANACCESS_PASSWORD", "")
PANACCESS_SALT = variable("PANACCESS_SALT", "")
PANACCESS_API_TOKEN = variable("PANACCESS_API_TOKEN", "")
PANACCESS_TIME_ZONE = variable("PANACCESS_TIME_ZONE", "UTC")
try:
    find_zone(PANACCESS_TIME_ZONE)
except TriggerError as error:
    raise ConfigurationError(f"PANACCESS_TIME_ZONE: {error}") from None
TELEMETRY_SYNC_SECONDS = variable("TELEMETRY_SYNC_SECONDS", 120.0, Seconds)
TELEMETRY_RETRY_SECONDS = variable("TELEMETRY_RETRY_SECONDS", 60.0, Seconds)


def _file(name, level="INFO"):
    """A file that cleanup.rotate may put aside: it is opened again by itself."""
    return {
        "class": "logging.handlers.WatchedFileHandler",
        "filename": LOGS / name,
        "formatter": "line",
        "level": level,
    }


# Three files, of the web process and the replicas alike. A line of a run names its job and number.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "sereno.RunFormatter",
            "fmt": "{asctime} {levelname} [SERENO {job} {run}] {name}: {message}",
        }
    },
    "handlers": {
        "general": _file("django.log"),
        "panaccess": _file("panaccess.log"),
        "errors": _file("errors.log", "ERROR"),
    },
    "loggers": {"telemetria.panaccess": {"handlers": ["panaccess"], "level": "INFO"}},
    "root": {"handlers": ["general", "errors"], "level": "INFO"},
}

_ALERTS = variable("ALERTS_URL", "", Address)
SERENO = {
    "PLUGINS": {
        "CLEANUP": {
            "LOGS_ROOTS": [str(LOGS)],
            "ROTATIONS": [{"path": f"{LOGS}/*.log", "max_bytes": 50_000_000, "max_age": "1d"}],
            "LOGS": [{"path": f"{LOGS}/*.log-*"}],  # 30 days
            "TABLES": [
                {
                    "table": "telemetria_telemetryrecordentry",
                    "column": "timestamp",
                    "keep": "400d",
                }
            ],
        },
        # A run that has failed for good, a job that is overdue: to whoever ALERTS_URL names.
        **({"NOTIFY": {"WEBHOOKS": {"guard": {"url": _ALERTS}}}} if _ALERTS else {}),
    }
}
