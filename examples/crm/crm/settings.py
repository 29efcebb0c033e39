"""The variables of the CRM's own documents, as Sereno has them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from sereno import variable

Minutes = Annotated[int, msgspec.Meta(ge=1, le=1440)]
Hours = Annotated[int, msgspec.Meta(ge=1, le=168)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

VARIABLES = {
    "ENABLE_SCHEDULED_TASKS": "enable_scheduled_tasks",
    "NOTIFICATION_CHECK_INTERVAL_MINUTES": "notification_check_interval_minutes",
    "METRICS_REFRESH_INTERVAL_MINUTES": "metrics_refresh_interval_minutes",
    "CLEANUP_INTERVAL_HOURS": "cleanup_interval_hours",
    "REDIS_HOST": "redis_host",
    "REDIS_PORT": "redis_port",
    "REDIS_PASSWORD": "redis_password",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``[plugins.crm_jobs]``. `report`, `zone`: when each CEO gets the report of the day."""

    enable_scheduled_tasks: bool = True
    notification_check_interval_minutes: Minutes = 5
    metrics_refresh_interval_minutes: Minutes = 15
    cleanup_interval_hours: Hours = 1
    report: str = "0 8 * * *"
    zone: str = "America/Argentina/Buenos_Aires"
    hot_probability: Share = 0.8
    slow_response_seconds: float = 900
    redis_host: str = ""
    redis_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 6379
    redis_password: str = ""


def tables(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what would stand in ``sereno.toml``, from the variables of the CRM's ``.env``.

    Raises ConfigurationError for a variable that cannot be read.
    """
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    given = {
        key: variable(name, None, types[key], environ=environ)
        for name, key in VARIABLES.items()
        if environ.get(name)
    }
    told = variable("ENABLE_TASK_LOGGING", True, environ=environ)
    level = {"LOG_LEVEL": environ.get("LOG_LEVEL", "").upper()}
    return {
        "database_url": environ.get("POSTGRES_DSN") or "embedded",
        "modules": ["crm.jobs"],
        "log": {
            "level": variable("LOG_LEVEL", "INFO", Level, environ=level).lower(),
            "keep_level": "info" if told else "warning",
            "success_level": "info" if told else "debug",
        },
        "plugins": {"crm_jobs": given},
    }
