"""Two pages, for the staff: what there is, and a report as it was made."""

from datetime import date

from django.contrib.admin.views.decorators import staff_member_required
from django.db import ProgrammingError
from django.http import Http404, HttpResponse
from django.shortcuts import render

from calls.models import DaySummary, Report


@staff_member_required
def overview(request):
    try:
        reports = list(Report.objects.defer("html")[:20])
    except ProgrammingError:  # the scheduler has not made its tables yet
        reports = []
    return render(
        request, "overview.html", {"days": DaySummary.objects.all()[:14], "reports": reports}
    )


@staff_member_required
def report(request, name, day):
    try:
        found = Report.objects.filter(name=name, day=date.fromisoformat(day)).first()
    except ValueError:  # it is no day
        found = None
    if found is None:
        raise Http404
    return HttpResponse(found.html)
