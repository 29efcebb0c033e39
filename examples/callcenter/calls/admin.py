from django.contrib import admin

from calls.models import DaySummary

admin.site.register(DaySummary, list_display=["day", "calls", "answered", "abandoned"])
