"""What the dashboard shows: the last ten tasks, and how the last 24 hours went."""

from datetime import timedelta
from typing import Any

from django import template
from django.db.models import Count, Q
from django.utils import timezone

from sereno_django.admin.cells import breakable, instant
from sereno_django.models import TaskRun

register = template.Library()
register.filter("sereno_breakable", breakable)
register.filter("sereno_instant", instant)

_BAD = ("failed", "timed_out", "lost")


@register.simple_tag(takes_context=True)
def sereno_dashboard(context: Any) -> dict[str, Any] | None:
    """Return the figures for who may see tasks, None for others."""
    request = context.get("request")
    if request is None or not request.user.has_perm("sereno.view_taskrun"):
        return None
    since = timezone.now() - timedelta(hours=24)
    ended = TaskRun.objects.filter(finished_at__gte=since).aggregate(
        completed=Count("pk", filter=Q(state="succeeded")),
        failed=Count("pk", filter=Q(state__in=_BAD)),
    )
    waiting = TaskRun.objects.filter(state__in=("queued", "running")).aggregate(
        pending=Count("pk", filter=Q(state="queued")),
        running=Count("pk", filter=Q(state="running")),
    )
    return {**ended, **waiting, "last": TaskRun.objects.order_by("-id")[:10]}
