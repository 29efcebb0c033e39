"""The admin: tasks, periodic tasks and the log. Importing this registers them."""

from sereno_django.admin import lines, periodic, runs
from sereno_django.admin.action import enqueue_action

__all__ = ["enqueue_action", "lines", "periodic", "runs"]
