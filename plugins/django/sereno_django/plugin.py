"""What the kernel finds: the jobs of the Django project that DJANGO_SETTINGS_MODULE names.

Without that variable it brings nothing and loads nothing.
"""

import os
import sys

from sereno import Check, Finding, Job, hookimpl, lazy

_VARIABLE = "DJANGO_SETTINGS_MODULE"


def _has_project() -> bool:
    return bool(os.environ.get(_VARIABLE))


if _has_project():
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # as for the setting `modules`
    lazy("sereno_django.project").prepare()


@hookimpl
def sereno_register_jobs() -> list[Job]:
    """Return the jobs that run tasks and commands, and those of ``sereno_jobs.py`` of all apps."""
    found: list[Job] = lazy("sereno_django.discovery").found_jobs() if _has_project() else []
    return found


@hookimpl
def sereno_register_checks() -> list[Check]:
    """Say where no project is named."""
    return [] if _has_project() else [Check("project", _no_project)]


def _no_project() -> list[Finding]:
    return [
        Finding(
            "sereno-django is installed and no project is named, so it brings no job; call "
            f"`manage.py sereno`, or set {_VARIABLE}"
        )
    ]
