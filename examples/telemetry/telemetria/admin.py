"""What there is to look at, beside the tasks of sereno-django."""

from django.contrib import admin

from telemetria.models import MergedTelemetricOTT, TelemetryRecordEntry


@admin.register(TelemetryRecordEntry, MergedTelemetricOTT)
class RegistroAdmin(admin.ModelAdmin):
    """Records are looked at, and written by the tasks alone."""

    list_display = ("record_id", "timestamp", "subscriber_code", "data_name", "data_duration")
    list_filter = ("data_date",)
    search_fields = ("subscriber_code", "data_name")
    show_full_result_count = False

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
