from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            name="DaySummary",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("calls", models.IntegerField()),
                ("answered", models.IntegerField()),
                ("abandoned", models.IntegerField()),
            ],
            options={
                "ordering": ["-day"],
                "verbose_name": "resumen del día",
                "verbose_name_plural": "resúmenes de los días",
            },
        ),
        migrations.CreateModel(
            name="Report",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("day", models.DateField()),
                ("revision", models.IntegerField()),
                ("html", models.TextField()),
            ],
            options={
                "managed": False,
                "db_table": 'sereno_reports"."report',
                "ordering": ["-day", "name", "-revision"],
            },
        ),
    ]
