"""Serves the project; its node works in the same process."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lucy.settings")
application = StaticFilesHandler(get_wsgi_application())

import sereno_django

sereno_django.start()
