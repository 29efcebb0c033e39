"""The log across all tasks."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from sereno_django.admin.cells import breakable, instant
from sereno_django.admin.paging import BoundedPaginator
from sereno_django.models import RunLine


@admin.register(RunLine)
class RunLineAdmin(admin.ModelAdmin):
    """Lines of all runs, the newest first."""

    list_display = ("shown_at", "level", "of_run", "message")
    list_display_links = None
    list_filter = ("level", "at")
    search_fields = ("message",)
    search_help_text = _("Text of a line, or the number of a task")
    list_select_related = ("run",)
    paginator = BoundedPaginator
    show_full_result_count = False
    actions = None

    @admin.display(description=_("time"), ordering="at")
    def shown_at(self, line: RunLine) -> str:
        """When it was said."""
        return instant(line.at)

    @admin.display(description=_("task"))
    def of_run(self, line: RunLine) -> Any:
        """Link the run."""
        told = breakable(str(line.run))
        return format_html('<a href="../taskrun/{}/">{}</a>', line.run_id, told)

    def get_search_results(self, request: Any, queryset: Any, term: str) -> Any:
        """A number is a run's."""
        if term.strip().isdecimal() and len(term) < 19:
            return queryset.filter(run_id=int(term)), False
        return super().get_search_results(request, queryset, term)

    def has_add_permission(self, request: Any) -> bool:
        """Return that nobody writes here."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Return that nobody writes here."""
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Return that nobody writes here."""
        return False
