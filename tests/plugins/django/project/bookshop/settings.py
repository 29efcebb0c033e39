"""A project as its owner would write it; the tests name the database in BOOKSHOP_DATABASE."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import django

_url = urlsplit(os.environ.get("BOOKSHOP_DATABASE", "postgresql://nobody@127.0.0.1:1/none"))

SECRET_KEY = "for tests alone"
DEBUG = bool(os.environ.get("BOOKSHOP_DEBUG"))
ALLOWED_HOSTS = ["*"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "America/Argentina/Cordoba"
LANGUAGE_CODE = "en"
USE_I18N = True
ROOT_URLCONF = "bookshop.urls"
WSGI_APPLICATION = "bookshop.wsgi.application"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "sereno_django",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    *([] if django.VERSION >= (6, 0) else ["django_tasks"]),
    "bookshop",
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
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _url.hostname,
        "PORT": _url.port,
        "USER": _url.username,
        "NAME": _url.path[1:],
    }
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TASKS = {"default": {"BACKEND": "sereno_django.SerenoBackend", "QUEUES": []}}
SERENO = {
    "HTTP": {"ENABLED": False},
    "DISABLED_PLUGINS": ["cleanup", "console", "etl-ivr", "notify", "reports", "sun"],
    "JOBS": {"bookshop.count": {"timeout": "30s"}},
}
if _errors := os.environ.get("BOOKSHOP_ERRORS"):
    LOGGING = {
        "version": 1,
        "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "errors": {
                "class": "logging.FileHandler",
                "filename": str(Path(_errors)),
                "level": "ERROR",
                "formatter": "line",
            },
            "console": {"class": "logging.StreamHandler"},
        },
        "root": {"handlers": ["console", "errors"], "level": "DEBUG"},
    }
