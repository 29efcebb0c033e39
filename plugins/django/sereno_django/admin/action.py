"""Actions of a project's own admin that enqueue a task for each object that is selected."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sereno_django.request import enqueue, requested_by

LIMIT = 50


def enqueue_action(
    what: Any,
    description: Any,
    *,
    arguments: Callable[[Any], tuple[Any, ...] | dict[str, Any]] = lambda selected: (selected.pk,),
    limit: int = LIMIT,
    permission: str = "change",
) -> Callable[[Any, Any, Any], None]:
    """Return an admin action that enqueues `what` for each selected object, all or none.

    `what`: a task of Django's, of which `arguments` makes the arguments from the object, its key
    where nothing is said; or a job or its name, of which it makes the params, a dict. More than
    `limit` objects are refused. `permission`: which of the model's who may use it needs.
    """
    is_task = hasattr(what, "enqueue")
    database = what.get_backend().database if is_task else "default"

    def enqueue_one(given: Any) -> bool:
        if is_task:
            what.enqueue(*given)
            return True
        return enqueue(what, given).new

    def enqueue_selected(model_admin: Any, request: Any, queryset: Any) -> None:
        chosen = list(queryset[: limit + 1])
        if len(chosen) > limit:
            sentence = _("At most %(limit)d objects at once: nothing was scheduled.")
            model_admin.message_user(request, sentence % {"limit": limit}, messages.ERROR)
            return
        with requested_by(f"admin {request.user}"), transaction.atomic(using=database):
            new = sum(enqueue_one(arguments(each)) for each in chosen)
        scheduled = ngettext("%(count)d task scheduled.", "%(count)d tasks scheduled.", new)
        model_admin.message_user(request, scheduled % {"count": new}, messages.SUCCESS)
        if held := len(chosen) - new:
            sentence = ngettext(
                "%(count)d was scheduled before, and is not done twice.",
                "%(count)d were scheduled before, and are not done twice.",
                held,
            )
            model_admin.message_user(request, sentence % {"count": held}, messages.WARNING)

    name = what.name if hasattr(what, "name") else str(what)
    enqueue_selected.__name__ = f"enqueue_{name}".replace(".", "_")
    enqueue_selected.short_description = description  # type: ignore[attr-defined] # Django's way
    enqueue_selected.allowed_permissions = (permission,)  # type: ignore[attr-defined]
    return enqueue_selected
