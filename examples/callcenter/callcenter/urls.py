"""Django's pages: the summary, the reports, the admin."""

from calls import pages
from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("", pages.overview),
    path("reports/<slug:name>/<slug:day>/", pages.report),
    path("admin/", admin.site.urls),
]
