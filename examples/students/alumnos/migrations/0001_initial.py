"""The tables of students and of their windows."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Alumno",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("dni", models.BigIntegerField(unique=True)),
                ("nombre", models.CharField(max_length=200)),
                ("email", models.EmailField(blank=True, max_length=254)),
                (
                    "estado",
                    models.CharField(
                        choices=[
                            ("preinscripto", "preinscripto"),
                            ("aspirante", "aspirante"),
                            ("ingresante", "ingresante"),
                        ],
                        max_length=20,
                    ),
                ),
                ("upn", models.CharField(blank=True, max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="Configuracion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("preinscriptos_dia_inicio", models.DateTimeField(blank=True, null=True)),
                ("preinscriptos_dia_fin", models.DateTimeField(blank=True, null=True)),
                ("aspirantes_dia_inicio", models.DateTimeField(blank=True, null=True)),
                ("aspirantes_dia_fin", models.DateTimeField(blank=True, null=True)),
                ("ingresantes_dia_inicio", models.DateTimeField(blank=True, null=True)),
                ("ingresantes_dia_fin", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "configuración",
                "verbose_name_plural": "configuración",
            },
        ),
    ]
