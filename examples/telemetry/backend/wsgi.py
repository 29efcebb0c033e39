"""Serves the admin. Its replicas are processes of their own: ``manage.py sereno run``."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
application = StaticFilesHandler(get_wsgi_application())
