"""Typed settings: file < environment < flags; every fault is told with its place."""

from sereno.settings.loader import FILES, find_file, load_settings, plugin_key, plugin_settings
from sereno.settings.place import SettingPlace, SettingPlaces, dotted
from sereno.settings.secret import hidden, is_secret, redact
from sereno.settings.values import (
    EMBEDDED,
    EMBEDDED_DEMO,
    MAX_BACKFILL,
    AppsSettings,
    BlackoutSettings,
    CalendarSettings,
    HttpSettings,
    JobSettings,
    LogSettings,
    ScheduleSettings,
    Settings,
    TracingSettings,
)

__all__ = [
    "EMBEDDED",
    "EMBEDDED_DEMO",
    "FILES",
    "MAX_BACKFILL",
    "AppsSettings",
    "BlackoutSettings",
    "CalendarSettings",
    "HttpSettings",
    "JobSettings",
    "LogSettings",
    "ScheduleSettings",
    "SettingPlace",
    "SettingPlaces",
    "Settings",
    "TracingSettings",
    "dotted",
    "find_file",
    "hidden",
    "is_secret",
    "load_settings",
    "plugin_key",
    "plugin_settings",
    "redact",
]
