"""Decides which Tasks framework is at hand: Django's own from 6.0 on, before it the backport."""

from importlib import import_module
from typing import Any

import django
from django.apps import apps

OWN = django.VERSION >= (6, 0)
"""Whether Django has the framework itself."""

_ROOM = "django.tasks" if OWN else "django_tasks"
_base: Any = import_module(f"{_ROOM}.base")
_signals: Any = import_module(f"{_ROOM}.signals")
_exceptions: Any = import_module(f"{_ROOM}.exceptions")
_json: Any = import_module("django.utils.json" if OWN else "django_tasks.utils")

BaseTaskBackend: Any = import_module(f"{_ROOM}.backends.base").BaseTaskBackend
Task: Any = _base.Task
TaskContext: Any = _base.TaskContext
TaskError: Any = _base.TaskError
TaskResult: Any = _base.TaskResult
TaskResultStatus: Any = _base.TaskResultStatus
InvalidTask: Any = _exceptions.InvalidTask if OWN else _exceptions.InvalidTaskError
TaskResultDoesNotExist: Any = _exceptions.TaskResultDoesNotExist
task_enqueued: Any = _signals.task_enqueued
task_started: Any = _signals.task_started
task_finished: Any = _signals.task_finished
normalize_json: Any = _json.normalize_json
task_backends: Any = import_module(_ROOM).task_backends


def installed() -> bool:
    """Return whether this project has the framework: Django's own, or the backport as an app."""
    return OWN or bool(apps.is_installed("django_tasks"))
