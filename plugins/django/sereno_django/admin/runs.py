"""The table of tasks: what ran, how it ended, and who asked for it."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import Max, Q, TextField
from django.db.models.functions import Cast
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from sereno import SerenoError
from sereno_django.admin.cells import breakable, instant
from sereno_django.admin.paging import BoundedPaginator
from sereno_django.clients import client_for
from sereno_django.models import TaskRun

_SEARCHED = 100_000
"""Runs, the newest, among which a text is looked for."""
_RECENT = 2_000
"""Runs, the newest, of which kinds are listed."""


class KindFilter(admin.SimpleListFilter):
    """Tasks by their module path, other jobs by their name."""

    title = _("type")
    parameter_name = "kind"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """Return the kinds of the newest runs."""
        recent = TaskRun.objects.order_by("-id").only("id", "job", "params")[:_RECENT]
        return [(kind, kind) for kind in sorted({run.kind for run in recent})]

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Narrow the list to one kind."""
        kind = self.value()
        return queryset.filter(Q(job=kind) | Q(params__task=kind)) if kind else queryset


@admin.register(TaskRun)
class TaskRunAdmin(admin.ModelAdmin):
    """Runs, the newest first; what is written is asked of the client."""

    list_display = (
        *("id", "shown_kind", "state", "shown_count", "figures", "began", "ended"),
        *("requested_by", "short_error"),
    )
    list_filter = (KindFilter, "state", "queued_at")
    search_fields = ("id",)
    search_help_text = _("Number, param, who asked, or text of the error")
    paginator = BoundedPaginator
    show_full_result_count = False
    actions = ("cancel_selected", "retry_selected")
    fields = readonly_fields = (
        *("id", "kind", "state", "requested_by", "queued_at", "started_at", "finished_at"),
        *("attempt", "shown_params", "shown_result", "error", "shown_traceback", "log"),
    )

    class Media:
        """What Django's styles leave to be said."""

        css = {"all": ("sereno_django/admin.css",)}

    @admin.display(description=_("type"), ordering="job")
    def shown_kind(self, run: TaskRun) -> Any:
        """What it is of, in a column."""
        return format_html('<div class="sereno-kind">{}</div>', breakable(run.kind))

    @admin.display(description=_("start"), ordering="started_at")
    def began(self, run: TaskRun) -> str:
        """When it began."""
        return instant(run.started_at)

    @admin.display(description=_("end"), ordering="finished_at")
    def ended(self, run: TaskRun) -> str:
        """When it was over."""
        return instant(run.finished_at)

    @admin.display(description=_("type"))
    def kind(self, run: TaskRun) -> str:
        """What it is of."""
        return run.kind

    @admin.display(description=_("count"))
    def shown_count(self, run: TaskRun) -> Any:
        """How many entities."""
        return run.count

    @admin.display(description=_("details"))
    def figures(self, run: TaskRun) -> Any:
        """The numbers of the result: texts may be secret."""
        found = run.result if isinstance(run.result, dict) else {}
        told = ", ".join(f"{k}: {v}" for k, v in found.items() if isinstance(v, int | float))
        return format_html('<div class="sereno-figures">{}</div>', told) if told else ""

    @admin.display(description=_("error"))
    def short_error(self, run: TaskRun) -> str:
        """The beginning of the error."""
        return (run.error or "")[:100]

    @admin.display(description=_("params"))
    def shown_params(self, run: TaskRun) -> Any:
        """All params, as JSON."""
        return _json(self._detail(run).params)

    @admin.display(description=_("details"))
    def shown_result(self, run: TaskRun) -> Any:
        """The whole result, as JSON."""
        return _json(self._detail(run).result)

    @admin.display(description=_("traceback"))
    def shown_traceback(self, run: TaskRun) -> Any:
        """Where it failed."""
        return _scrolled(self._detail(run).traceback)

    @admin.display(description=_("log"))
    def log(self, run: TaskRun) -> Any:
        """The last lines, and a link to all."""
        lines = "\n".join(f"{n.at:%H:%M:%S} {n.level} {n.message}" for n in self._detail(run).lines)
        link = '{}<a href="../../../runline/?q={}">{}</a>'
        return format_html(link, _scrolled(lines), run.pk, _("All lines"))

    def get_object(self, request: Any, object_id: str, from_field: Any = None) -> Any:
        """Return the run with what the client tells of it: secrets for who may see them."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            reveal = request.user.has_perm("sereno.reveal_taskrun")
            with client_for(request.user) as client:
                found.detail = client.run(found.pk, lines=20, reveal=reveal)
        return found

    def get_search_results(self, request: Any, queryset: Any, term: str) -> tuple[Any, bool]:
        """Look for a number, a value among the params, who asked, or a text of the error."""
        term = term.strip()
        if not term:
            return queryset, False
        newest = TaskRun.objects.aggregate(newest=Max("id"))["newest"] or 0
        wanted = (
            Q(error__icontains=term) | Q(requested_by__icontains=term) | Q(said__icontains=term)
        )
        if term.isdecimal() and len(term) < 19:
            wanted |= Q(pk=int(term))
        recent = queryset.filter(pk__gt=newest - _SEARCHED)
        return recent.annotate(said=Cast("params", TextField())).filter(wanted), False

    @admin.action(description=_("Cancel selected tasks"), permissions=["change"])
    def cancel_selected(self, request: Any, queryset: Any) -> None:
        """Ask each to stop, or end it where it waits."""
        self._each(request, queryset, "cancel")

    @admin.action(description=_("Run selected tasks again"), permissions=["change"])
    def retry_selected(self, request: Any, queryset: Any) -> None:
        """Queue each again."""
        self._each(request, queryset, "retry")

    def _each(self, request: Any, queryset: Any, verb: str) -> None:
        done = 0
        with client_for(request.user) as client:
            for run in queryset:
                try:
                    getattr(client, verb)(run.pk)
                    done += 1
                except SerenoError as error:
                    self.message_user(request, str(error), messages.WARNING)
        self.message_user(request, _("%(count)d tasks.") % {"count": done}, messages.SUCCESS)

    def _detail(self, run: Any) -> Any:
        return run.detail

    def has_add_permission(self, request: Any) -> bool:
        """Return that no run is made by hand: it is enqueued."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Return that a run is shown, and not edited; actions on the list are allowed."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Return that history is pruned by its retention."""
        return False


def _json(value: Any) -> Any:
    if value is None:
        return ""
    return _scrolled(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _scrolled(text: str | None) -> Any:
    """Return a text that keys can scroll as well, where it is wide."""
    return format_html('<pre tabindex="0">{}</pre>', text) if text else ""
