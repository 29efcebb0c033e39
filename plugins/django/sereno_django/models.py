"""The kernel's tables as models for the admin: read here, and written by Sereno's client alone."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

STATES = (
    ("queued", _("pending")),
    ("running", _("running")),
    ("succeeded", _("completed")),
    ("failed", _("failed")),
    ("timed_out", _("timed out")),
    ("cancelled", _("cancelled")),
    ("lost", _("lost")),
)
SCHEDULE_STATES = (
    ("active", _("active")),
    ("paused", _("paused")),
    ("orphaned", _("without its task")),
    ("removed", _("removed")),
)
ORIGINS = (("plugin", _("code")), ("config", _("settings")), ("user", _("a person")))
_TASK_JOBS = ("django.task", "django.async_task")


class TaskRun(models.Model):
    """A run: of a task, a command or any other job."""

    id = models.BigIntegerField(_("number"), primary_key=True)
    job = models.TextField(_("job"))
    state = models.TextField(_("state"), choices=STATES)
    cause = models.TextField(_("cause"))
    slot = models.DateTimeField(_("slot"), null=True)
    priority = models.SmallIntegerField(_("priority"))
    run_at = models.DateTimeField(_("due"))
    queued_at = models.DateTimeField(_("scheduled"))
    attempt = models.IntegerField(_("attempt"))
    started_at = models.DateTimeField(_("start"), null=True)
    finished_at = models.DateTimeField(_("end"), null=True)
    params = models.JSONField(_("params"))
    result = models.JSONField(_("details"), null=True)
    error = models.TextField(_("error"), null=True)
    requested_by = models.TextField(_("asked for by"), null=True)

    class Meta:
        """Not Django's own table."""

        managed = False
        db_table = '"sereno"."run"'
        ordering = ("-id",)
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        default_permissions = ("view", "change")
        permissions = (("reveal_taskrun", _("Can see passwords and other secrets of tasks")),)

    def __str__(self) -> str:
        return f"{self.id} {self.kind}"

    @property
    def kind(self) -> str:
        """What it is of: a task's module path, else its job."""
        if self.job in _TASK_JOBS and isinstance(self.params, dict):
            return str(self.params.get("task", self.job))
        return str(self.job)

    @property
    def count(self) -> Any:
        """How many entities the result tells of, None where it tells of none."""
        found = self.result if isinstance(self.result, dict) else {}
        whole = [found.get(name) for name in ("count", "created", "updated", "deleted")]
        told = [n for n in whole if isinstance(n, int) and not isinstance(n, bool)]
        return sum(told) if told else None


class PeriodicTask(models.Model):
    """A schedule: declared by code, by settings, or made by a person."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField(_("name"))
    job = models.TextField(_("task"))
    origin = models.TextField(_("made by"), choices=ORIGINS)
    state = models.TextField(_("state"), choices=SCHEDULE_STATES)
    declared = models.JSONField()
    overrides = models.JSONField()

    class Meta:
        """Not Django's own table."""

        managed = False
        db_table = '"sereno"."schedule"'
        ordering = ("name",)
        verbose_name = _("periodic task")
        verbose_name_plural = _("periodic tasks")

    def __str__(self) -> str:
        return self.title or str(self.name)

    def part(self, name: str, otherwise: Any = None) -> Any:
        """Return a part of it as it stands: what a person changed counts over what is declared."""
        for table in (self.overrides, self.declared):
            if isinstance(table, dict) and table.get(name) is not None:
                return table[name]
        return otherwise

    @property
    def title(self) -> str:
        """What people call it."""
        return str(self.part("title", ""))


class RunLine(models.Model):
    """A line that a run has logged. `at` stands for a key: Django's admin wants one column."""

    at = models.DateTimeField(_("time"), primary_key=True)
    run = models.ForeignKey(TaskRun, models.DO_NOTHING, verbose_name=_("task"), db_constraint=False)
    attempt = models.IntegerField(_("attempt"))
    line = models.IntegerField(_("line"))
    level = models.TextField(_("level"))
    logger = models.TextField(_("logger"))
    message = models.TextField(_("message"))

    class Meta:
        """Not Django's own table."""

        managed = False
        db_table = '"sereno"."run_log"'
        ordering = ("-at", "-run_id", "-attempt", "-line")
        verbose_name = _("log line")
        verbose_name_plural = _("log")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.message)[:100]
