"""What a plugin registers with sereno_register_notifiers, and what is wrong with it."""

import asyncio
from typing import Any

import pytest

from sereno import ConfigurationError, Notifier, hookimpl
from sereno.model.errors import PluginError
from sereno.plugins import collect, load_plugins
from sereno.plugins.hook_dispatcher import HookDispatcher
from sereno.settings import Settings
from sereno.testing import declared


class Bell(Notifier):
    def __init__(self, name: Any = "bell") -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def send(self, notification: Any) -> None: ...


def plugin(*answer: Any) -> Any:
    class Planted:
        @staticmethod
        @hookimpl
        def sereno_register_notifiers() -> Any:
            return list(answer)

    return Planted


def test_notifiers_are_known_by_their_names() -> None:
    assert set(declared(plugin(Bell(), Bell("mail.ops"))).notifiers) == {"bell", "mail.ops"}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (["mail"], "'mail', no Notifier"),
        ([Bell("Big Bell")], "the notifier 'Big Bell' needs a name of lower-case letters"),
        ([Bell(None)], "the notifier None needs a name"),
        ([Bell(), Bell()], "the name 'bell' of a notifier is taken"),
    ],
)
def test_what_is_no_notifier_fails_its_plugin(answer: list[Any], fault: str) -> None:
    with pytest.raises(PluginError, match=fault):
        declared(plugin(*answer))


def test_a_name_that_another_plugin_has_fails_the_second_alone() -> None:
    settings = Settings()
    planted = [("one", plugin(Bell())), ("two", plugin(Bell()))]
    found = collect(load_plugins(settings, extra=planted, entry_points=False), settings)
    assert [r.state for r in found.records.values()] == ["loaded", "failed"]
    assert set(found.notifiers) == {"bell"}


class Routing:
    """A plugin that knows what it wants of others' notifiers once all are known."""

    @staticmethod
    @hookimpl
    def sereno_register_checks(notifiers: Any) -> Any:
        if "bell" not in notifiers:
            raise ConfigurationError(f"there is no notifier 'bell'; known are {[*notifiers]}")
        return []


def test_a_plugin_that_is_asked_first_knows_the_notifiers_of_all() -> None:
    planted = [("a", Routing), ("one", plugin(Bell()))]
    assert collect(load_plugins(Settings(), extra=planted, entry_points=False), Settings()).checks


def test_a_setting_that_names_no_notifier_stops_the_start() -> None:
    planted = [("a", Routing), ("one", plugin(Bell("horn")))]
    with pytest.raises(ConfigurationError, match=r"no notifier 'bell'; known are \['horn'\]"):
        collect(load_plugins(Settings(), extra=planted, entry_points=False), Settings())


def test_a_setting_that_names_a_notifier_of_a_plugin_that_failed_is_a_warning_alone() -> None:
    planted = [("a", Routing), ("one", plugin("no"))]
    found = collect(load_plugins(Settings(), extra=planted, entry_points=False), Settings())
    assert "there is no notifier 'bell'" in found.warnings[0]


def test_a_plugin_whose_lifespan_fails_takes_its_notifiers_along() -> None:
    planted = plugin(Bell())

    @staticmethod
    @hookimpl
    def sereno_lifespan(settings: Any) -> Any:
        raise OSError("no socket")

    planted.sereno_lifespan = sereno_lifespan
    settings = Settings()
    registry = collect(
        load_plugins(settings, extra=[("one", planted)], entry_points=False), settings
    )

    async def opened() -> set[str]:
        async with HookDispatcher(registry).lifespans() as found:
            return set(found.notifiers)

    assert asyncio.run(opened()) == set()
