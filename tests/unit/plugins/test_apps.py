"""What becomes of the apps that plugins bring: each mount is one plugin's, and a path."""

from types import SimpleNamespace
from typing import Any

import pytest

from sereno import App, hookimpl
from sereno.plugins import Registry, collect, load_plugins
from sereno.settings import Settings

GOOD = App("Good", lambda client: None)


def plugin(apps: Any) -> SimpleNamespace:
    @hookimpl
    def sereno_register_apps() -> Any:
        return apps() if callable(apps) else apps

    return SimpleNamespace(__name__="tests_apps", sereno_register_apps=sereno_register_apps)


def registry(**plugins: Any) -> Registry:
    planted = [(name, plugin(apps)) for name, apps in plugins.items()]
    return collect(load_plugins(Settings(), extra=planted, entry_points=False), Settings())


def test_apps_are_known_by_their_mount_and_their_plugin() -> None:
    found = registry(one={"/console": GOOD, "/api/v1": GOOD}, two={"/api": GOOD})
    assert {mount: app.plugin for mount, app in found.apps.items()} == {
        "/console": "one",
        "/api/v1": "one",
        "/api": "two",
    }
    assert set(found.without({"one": "it could not be opened"}).apps) == {"/api"}


def test_of_two_plugins_with_one_mount_the_first_keeps_it() -> None:
    found = registry(one={"/console": GOOD}, two={"/console": GOOD, "/other": GOOD})
    assert found.records["one"].state == "loaded"
    assert found.records["two"].reason == (
        "plugins 'one' and 'two' both bring an app at '/console'; 'one' keeps it"
    )
    assert set(found.apps) == {"/console"}


@pytest.mark.parametrize(
    "mount",
    [
        *("", "/", "console", "/console/", "//", "/a//b", "/.", "/..", "/a/../b", "/a b", "/é"),
        *("/a%2fb", "/a?b", "/a#b", "/{a}", "/a\n", "/a\x00", "/" + "a" * 65, "/a" * 9),
        *("/healthz", 3, None, b"/a", ("/a",)),
    ],
)
def test_a_mount_that_is_no_path_fails_its_plugin_alone(mount: Any) -> None:
    found = registry(bad={mount: GOOD}, good={"/good": GOOD})
    assert found.records["bad"].state == "failed"
    assert "the mount" in found.records["bad"].reason
    assert set(found.apps) == {"/good"}


@pytest.mark.parametrize(
    ("apps", "reason"),
    [
        ([GOOD], "no mapping of mounts"),
        (7, "no mapping of mounts"),
        ({"/a": lambda client: None}, "make it by App(title, factory)"),
        ({"/a": App("", print)}, "its title is ''"),
        ({"/a": App("a\nb", print)}, "its title is"),
        ({"/a": App("a" * 101, print)}, "its title is"),
        ({"/a": App(7, print)}, "its title is 7"),  # type: ignore[arg-type]
        ({"/a": App("A", 7)}, "its factory 7 cannot be called"),  # type: ignore[arg-type]
        ({f"/{n}": GOOD for n in range(101)}, "it brings 101 apps, 100 are the most"),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_no_app_fails_its_plugin_alone(apps: Any, reason: str) -> None:
    found = registry(bad=apps, good={"/good": GOOD})
    assert reason in found.records["bad"].reason
    assert set(found.apps) == {"/good"}
