"""Finds, checks and asks plugins; beside `hookspecs` the only code that knows pluggy.

The way of a plugin: `load_plugins` imports it and checks its hooks, `collect` asks it what it
declares and settles clashes, a `HookDispatcher` opens its lifespan and tells it events. A fault on
the way fails that plugin alone, with its reason in its `PluginRecord`.
"""

from sereno.plugins.apps import DeclaredApp
from sereno.plugins.checks import LIMIT as CHECK_LIMIT
from sereno.plugins.checks import CheckAnswer, ask_checks, asked_once
from sereno.plugins.collection import collect, settings_of
from sereno.plugins.demo import demos
from sereno.plugins.given import given_plugins
from sereno.plugins.hook_dispatcher import HookDispatcher
from sereno.plugins.kinds import learn_all_kinds
from sereno.plugins.loader import Plugins, asked_for, load_plugins
from sereno.plugins.record import PluginRecord
from sereno.plugins.registry import DeclaredSchedule, Registry

__all__ = [
    "CHECK_LIMIT",
    "CheckAnswer",
    "DeclaredApp",
    "DeclaredSchedule",
    "HookDispatcher",
    "PluginRecord",
    "Plugins",
    "Registry",
    "ask_checks",
    "asked_for",
    "asked_once",
    "collect",
    "demos",
    "given_plugins",
    "learn_all_kinds",
    "load_plugins",
    "settings_of",
]
