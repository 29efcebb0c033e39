from types import SimpleNamespace
from typing import Any

import pytest

from sereno import Demo, hookimpl
from sereno.model.errors import PluginError
from sereno.plugins import demos, load_plugins
from sereno.settings import Settings


def plugin(answer: Any) -> Any:
    @hookimpl
    def sereno_register_demo() -> Any:
        return answer()

    return SimpleNamespace(sereno_register_demo=sereno_register_demo)


def ask(*plugins: tuple[str, Any]) -> dict[str, Demo]:
    return demos(load_plugins(Settings(), extra=plugins, entry_points=False))


def test_each_plugin_brings_its_part_under_the_name_of_its_table() -> None:
    demo = Demo(settings={"every": "5s"})

    assert ask(("etl-ivr", plugin(lambda: demo)), ("b", plugin(lambda: None))) == {"etl_ivr": demo}


def test_a_part_that_cannot_be_had_is_told() -> None:
    with pytest.raises(PluginError, match=r"^plugin 'a': sereno_register_demo returned 5, no"):
        ask(("a", plugin(lambda: 5)))
    with pytest.raises(PluginError, match=r"^plugin 'a': sereno_register_demo: ZeroDivisionError"):
        ask(("a", plugin(lambda: 1 / 0)))
