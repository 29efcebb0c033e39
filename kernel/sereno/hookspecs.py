"""Every hook: its moment and its failure rule. See docs/plugins.md for examples.

Three families, all with the prefix ``sereno_``:

- ``sereno_register_<plural>``: plain functions, called once at start before any I/O. An exception
  or a bad value marks the plugin ``failed``; the others go on.
- ``sereno_lifespan``: one async context manager, entered before the first job and left after the
  last. One that fails marks its plugin ``failed``, and the plugin's jobs do not run.
- ``sereno_on_<past participle>``: ``async def``, called one by one, each with a time limit; what it
  raises is logged and reaches neither another plugin nor the run. `state`: what the plugin's
  lifespan yielded, None where it has none.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pluggy

from sereno.model.app import App
from sereno.model.check import Check
from sereno.model.demo import Demo
from sereno.model.events import (
    JobOverdue,
    LeaderChanged,
    RunFinished,
    RunStalled,
    RunStarted,
    SlotSettled,
)
from sereno.model.executor import Executor
from sereno.model.job import Job
from sereno.model.metric import Collector
from sereno.model.migrations import Migrations
from sereno.model.notification import Notifier
from sereno.triggers import KindParser

hookspec = pluggy.HookspecMarker("sereno")
hookimpl = pluggy.HookimplMarker("sereno")


@hookspec
def sereno_register_settings() -> type[msgspec.Struct]:  # type: ignore[empty-body]
    """Return the Struct that ``[plugins.<name>]`` must fit; the first hook that is called."""


@hookspec
def sereno_register_jobs(settings: Any) -> Iterable[Job]:  # type: ignore[empty-body]
    """Return the jobs of this plugin. `settings`: its own Struct, filled and checked, or None."""


@hookspec
def sereno_register_trigger_kinds() -> Mapping[str, KindParser]:  # type: ignore[empty-body]
    """Return kinds of trigger by name: each plugin is asked before any is asked for jobs."""


@hookspec
def sereno_register_executors(settings: Any) -> Mapping[str, Executor]:  # type: ignore[empty-body]
    """Return by name where jobs may run: each plugin is asked before any is asked for jobs."""


@hookspec
def sereno_register_notifiers(settings: Any) -> Iterable[Notifier]:  # type: ignore[empty-body]
    """Return what sends notifications to people, for the plugin that carries messages."""


@hookspec
def sereno_register_collectors(settings: Any) -> Iterable[Collector]:  # type: ignore[empty-body]
    """Return what reads this plugin's own metrics, for the metrics page of every replica."""


@hookspec
def sereno_register_checks(settings: Any, notifiers: Collection[str]) -> Iterable[Check]:  # type: ignore[empty-body]
    """Return what ``sereno check`` asks of this plugin: whether what it needs is there.

    `notifiers`: the names of all plugins'. A ConfigurationError stops the start, as a fault of the
    settings.
    """


@hookspec
def sereno_register_migrations(settings: Any) -> Migrations:  # type: ignore[empty-body]
    """Return this plugin's schema and its files, which make its tables before its lifespan opens.

    One that fails fails its plugin alone. None: it has no tables with these settings.
    """


@hookspec
def sereno_register_apps(settings: Any) -> Mapping[str, App]:  # type: ignore[empty-body]
    """Return this plugin's ASGI applications by mount, served in a process of their own."""


@hookspec
def sereno_register_commands(settings: Any) -> Iterable[Any]:  # type: ignore[empty-body]
    """Return click commands that ``sereno`` offers beside its own."""


@hookspec
def sereno_register_demo() -> Demo:  # type: ignore[empty-body]
    """Return this plugin's part in ``sereno demo``; asked for by that command alone."""


@hookspec
def sereno_lifespan(settings: Any, database_url: str) -> AbstractAsyncContextManager[Any]:  # type: ignore[empty-body]
    """Return what this plugin opens before its first run and closes after its last.

    What it yields is the plugin's state, for its jobs (`run.state`), hooks and collectors; a
    `Carrier` carries messages to people.
    `database_url`: the kernel's own, which can be reached by now (a secret: never log it).
    """


@hookspec
async def sereno_on_run_started(event: RunStarted, state: Any) -> None:
    """Hear that an attempt began; the run does not wait."""


@hookspec
async def sereno_on_run_finished(event: RunFinished, state: Any) -> None:
    """Hear that an attempt ended and its outcome is written, or was lost for good with its node."""


@hookspec
async def sereno_on_run_stalled(event: RunStalled, state: Any) -> None:
    """Hear that a run has said nothing for its `stalled_after`, or says something again."""


@hookspec
async def sereno_on_slot_settled(event: SlotSettled, state: Any) -> None:
    """Hear that a slot was coalesced, skipped, missed or ran late."""


@hookspec
async def sereno_on_leader_changed(event: LeaderChanged, state: Any) -> None:
    """Hear that this node took or lost the lead."""


@hookspec
async def sereno_on_job_overdue(event: JobOverdue, state: Any) -> None:
    """Hear that a job is overdue, or no longer is."""
