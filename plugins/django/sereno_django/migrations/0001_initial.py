"""Names the kernel's tables to Django, for the permissions on them; makes none."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Of unmanaged models alone."""

    initial = True

    operations = [
        migrations.CreateModel(
            name="PeriodicTask",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("name", models.TextField(verbose_name="name")),
                ("job", models.TextField(verbose_name="task")),
                ("origin", models.TextField(verbose_name="made by")),
                ("state", models.TextField(verbose_name="state")),
                ("declared", models.JSONField()),
                ("overrides", models.JSONField()),
            ],
            options={
                "verbose_name": "periodic task",
                "verbose_name_plural": "periodic tasks",
                "db_table": '"sereno"."schedule"',
                "ordering": ("name",),
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="RunLine",
            fields=[
                (
                    "at",
                    models.DateTimeField(primary_key=True, serialize=False, verbose_name="time"),
                ),
                ("attempt", models.IntegerField(verbose_name="attempt")),
                ("line", models.IntegerField(verbose_name="line")),
                ("level", models.TextField(verbose_name="level")),
                ("logger", models.TextField(verbose_name="logger")),
                ("message", models.TextField(verbose_name="message")),
            ],
            options={
                "verbose_name": "log line",
                "verbose_name_plural": "log",
                "db_table": '"sereno"."run_log"',
                "ordering": ("-at", "-run_id", "-attempt", "-line"),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="TaskRun",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        primary_key=True, serialize=False, verbose_name="number"
                    ),
                ),
                ("job", models.TextField(verbose_name="job")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("queued", "pending"),
                            ("running", "running"),
                            ("succeeded", "completed"),
                            ("failed", "failed"),
                            ("timed_out", "timed out"),
                            ("cancelled", "cancelled"),
                            ("lost", "lost"),
                        ],
                        verbose_name="state",
                    ),
                ),
                ("cause", models.TextField(verbose_name="cause")),
                ("slot", models.DateTimeField(null=True, verbose_name="slot")),
                ("priority", models.SmallIntegerField(verbose_name="priority")),
                ("run_at", models.DateTimeField(verbose_name="due")),
                ("queued_at", models.DateTimeField(verbose_name="scheduled")),
                ("attempt", models.IntegerField(verbose_name="attempt")),
                ("started_at", models.DateTimeField(null=True, verbose_name="start")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="end")),
                ("params", models.JSONField(verbose_name="params")),
                ("result", models.JSONField(null=True, verbose_name="details")),
                ("error", models.TextField(null=True, verbose_name="error")),
                ("requested_by", models.TextField(null=True, verbose_name="asked for by")),
            ],
            options={
                "verbose_name": "task",
                "verbose_name_plural": "tasks",
                "db_table": '"sereno"."run"',
                "ordering": ("-id",),
                "permissions": (
                    ("reveal_taskrun", "Can see passwords and other secrets of tasks"),
                ),
                "managed": False,
                "default_permissions": ("view", "change"),
            },
        ),
    ]
