"""Settings of the call center: Django's own, and the scheduler's beside them."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from sereno import ConfigurationError, variable
from sereno_django import database_entry

BASE_DIR = Path(__file__).parents[1]
VAR = Path(variable("CALLCENTER_VAR", str(BASE_DIR / "var")))
LOGS = VAR / "log"
for place in (LOGS, VAR / "reports", VAR / "archive"):
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"CALLCENTER_VAR: {place}: {error.strerror}") from None

SECRET_KEY = variable("SECRET_KEY", "only-for-the-example")
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "callcenter.urls"
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "es"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "sereno_django",  # before the admin: its dashboard stands above the admin's index
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "calls",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
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

# One PostgreSQL for both: the scheduler needs no other service.
DATABASE_URL = variable("DATABASE_URL", "postgresql://callcenter@localhost/callcenter")
DATABASES = {"default": database_entry(DATABASE_URL, CONN_MAX_AGE=60)}

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
# JSON lines for machines, on stderr and in a file that cleanup.rotate puts aside.
# WatchedFileHandler opens the new file by itself, so nobody needs a signal.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "callcenter.json_lines.JsonLines"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "level": variable("STDERR_LEVEL", "INFO", Level),
        },
        "file": {
            "class": "logging.handlers.WatchedFileHandler",
            "filename": LOGS / "app.log",
            "formatter": "json",
        },
    },
    # What it says of each step of a PDF is of no use to who runs a call center.
    "loggers": {"weasyprint": {"level": "WARNING"}, "fontTools": {"level": "WARNING"}},
    "root": {"handlers": ["stderr", "file"], "level": "INFO"},
}

SCHEDULER = variable("CALLCENTER_SCHEDULER", True)  # off: Django alone, as for a comparison
MAIL_HOST = variable("MAIL_HOST", "127.0.0.1")
MAIL_PORT = variable("MAIL_PORT", 25, Annotated[int, Meta(ge=1, le=65535)])
MAIL_SECURITY = variable("MAIL_SECURITY", "none", Literal["none", "starttls", "tls"])
PBX_URL = variable("PBX_URL", "")  # mysql://reader:password@pbx/asteriskcdrdb

SERENO = {
    "database_url": DATABASE_URL,
    "timezone": TIME_ZONE,
    "threads": 5,  # the ADR's pool; plain jobs work in it
    "http": {"enabled": False},  # health and metrics are mounted in callcenter/asgi.py
    "apps": {"enabled": False},  # the console too
    "jobs": {
        # "Retry: no automático": who wants none says so; a rerun would double no row.
        "etl_ivr.sync": {"retry": {"attempts": 1}},
        "etl_ivr.sync.queues": {"retry": {"attempts": 1}},
    },
    "plugins": {
        # Every 6 hours and 1000 rows in a batch, unless ETL_FREQUENCY_HOURS and ETL_BATCH_SIZE
        # of the environment say otherwise.
        "etl_ivr": {
            **({"source_url": PBX_URL} if PBX_URL else {}),
            "source_timezone": "Europe/Madrid",
            "tables": {"queues": {"kind": "queue_log", "keep": "730d"}},
            "names": {
                "queues": {"400": "Ventas", "410": "Soporte"},
                "agents": {"201": "Ana Peña", "202": "Luis Gómez", "203": "Eva Ruiz"},
            },
            "keep_calls": "730d",
        },
        "cleanup": {
            "logs_zone": TIME_ZONE,
            "logs_roots": [str(LOGS)],
            "rotations": [{"path": f"{LOGS}/*.log", "max_bytes": 50_000_000, "max_age": "1d"}],
            "logs": [
                {"path": f"{LOGS}/app.log-*"},  # 30 days
                {"path": f"{LOGS}/access.log-*", "category": "access"},  # 90 days
                {
                    "path": f"{LOGS}/audit.log-*",
                    "category": "audit",  # archived after 730 days
                    "archive": str(VAR / "archive"),
                    "archive_keep_days": 3650,
                },
            ],
            "tables": [
                {"table": "sereno_reports.report", "column": "created_at", "keep": "730d"},
                {"table": "sereno_reports.delivery", "column": "changed_at", "keep": "90d"},
            ],
            "checks": [
                {
                    "name": "calls have a length",
                    "sql": "SELECT * FROM ivr.calls WHERE duration < 0",
                },
                {
                    "name": "calls are counted",
                    "severity": "critical",
                    "sql": "SELECT source, reached FROM ivr.aggregated"
                    " WHERE reached < now() - interval '13 hours'",
                },
                {
                    "name": "every summary has a figure",
                    "sql": "SELECT day FROM calls_daysummary WHERE calls < answered",
                },
            ],
        },
        "reports": {
            "zone": "Europe/Madrid",
            "language": "es",
            "organisation": "Centro de atención",
            "targets": {"service_level": 0.8, "abandon_rate": 0.05, "answer": 20},
            "recipients": {"daily": ["direccion@callcenter.example"]},
            "formats": {"daily": ["pdf", "xlsx"]},
            "deliver_dir": str(VAR / "reports"),
        },
        "notify": {
            "emails": {
                "mail": {
                    "host": MAIL_HOST,
                    "port": MAIL_PORT,
                    "security": MAIL_SECURITY,
                    "sender": "sereno@callcenter.example",
                    "to": ["guardia@callcenter.example"],  # failures, overdue jobs
                }
            }
        },
    },
}
