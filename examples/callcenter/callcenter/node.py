"""The scheduler's node of this process."""

from django.conf import settings

from sereno import Sereno

node = Sereno(settings.SERENO, loggers=["calls"])
