"""``sereno schedule``: the schedules that people make, and what they change in any other."""

import click

from sereno.cli import schedule_add, schedule_change, schedule_list, schedule_remove
from sereno.cli.options import global_parameters


@click.group("schedule")
def command() -> None:
    """Add, change, remove and list schedules, on all replicas and over restarts."""


for _part in (schedule_add, schedule_change, schedule_remove, schedule_list):
    _part.command.params += global_parameters()
    command.add_command(_part.command)
