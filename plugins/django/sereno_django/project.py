"""Makes the project ready in this process: its settings, its apps, its logging; once."""

import logging
import logging.config
import sys
from collections.abc import Mapping
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.utils.log import DEFAULT_LOGGING
from django.utils.module_loading import import_string

_CONFIG = "logging.config.dictConfig"
_ROOT = "sereno_django.root"


def prepare() -> None:
    """Set Django up where nobody has; raises what Django does where the project is at fault.

    In a node's own process, LOGGING is laid beside the node's log and not over it.
    """
    if apps.ready or apps.loading:
        return
    config, own = settings.LOGGING_CONFIG, settings.LOGGING
    settings.LOGGING_CONFIG = None
    try:
        django.setup()
    finally:
        settings.LOGGING_CONFIG = config
    if config == _CONFIG:
        for each in (DEFAULT_LOGGING, own):
            if each:
                lay_logging(each)
    elif config:
        import_string(config)(own)


def lay_logging(config: Mapping[str, Any]) -> None:
    """Apply `config` and leave alone what logs already: the node's handlers and all loggers.

    Handlers of its root logger join the node's, but for those that write to this process's output:
    what they would write, the node writes.
    """
    changed = {**config, "disable_existing_loggers": False}
    root = changed.pop("root", None)
    loggers = dict(changed.get("loggers", {}))
    root = loggers.pop("", root)
    if root is not None:
        loggers[_ROOT] = {**root, "propagate": False}
    changed["loggers"] = loggers
    logging.config.dictConfig(changed)
    if root is None:
        return
    carrier = logging.getLogger(_ROOT)
    for handler in list(carrier.handlers):
        carrier.removeHandler(handler)
        if not _writes_output(handler):
            logging.getLogger().addHandler(handler)


def _writes_output(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    return stream is not None and stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
