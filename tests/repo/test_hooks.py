import inspect
import re
from pathlib import Path

import msgspec
import pytest

from sereno.model import events
from sereno.plugins.hook_dispatcher import hook_of
from sereno.plugins.inspection import SPECS

ROOT = Path(__file__).parents[2]
FAMILIES = re.compile(r"sereno_(register_[a-z_]+s|register_demo|lifespan|on_[a-z_]+)")
EVENTS = [
    value
    for value in vars(events).values()
    if inspect.isclass(value) and value.__module__ == events.__name__
]


def written(hook: str) -> str:
    """Return the hook's signature as the manual writes it."""
    signature = str(inspect.signature(SPECS[hook]))
    return hook + re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", signature).replace(
        "type[Struct]", "type[msgspec.Struct]"
    )


def blank(event: type[msgspec.Struct]) -> msgspec.Struct:
    return event(**dict.fromkeys(event.__struct_fields__))


@pytest.mark.parametrize("hook", SPECS)
def test_every_hook_is_in_the_manual_with_its_signature(hook: str) -> None:
    assert f"\n### `{written(hook)}`\n" in (ROOT / "docs/plugins.md").read_text()


def test_the_manual_has_no_hook_that_is_not() -> None:
    manual = (ROOT / "docs/plugins.md").read_text()

    assert set(re.findall(r"\bsereno_(?:register|on)_\w+|\bsereno_lifespan\b", manual)) == set(
        SPECS
    )


@pytest.mark.parametrize("hook", SPECS)
def test_every_hook_is_of_a_family_and_explains_itself(hook: str) -> None:
    spec = SPECS[hook]

    assert FAMILIES.fullmatch(hook)
    assert spec.__doc__
    assert inspect.iscoroutinefunction(spec) == hook.startswith("sereno_on_")


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_its_hook(event: type[msgspec.Struct]) -> None:
    hook = hook_of(blank(event))

    assert inspect.signature(SPECS[hook]).parameters["event"].annotation is event


def test_every_hook_of_an_event_has_its_event() -> None:
    heard = {hook_of(blank(event)) for event in EVENTS}

    assert {hook for hook in SPECS if hook.startswith("sereno_on_")} == heard


@pytest.mark.parametrize("hook", SPECS)
def test_every_hook_is_named_in_a_test(hook: str) -> None:
    tests = [f for f in (ROOT / "tests").rglob("*.py") if f.parent.name != "repo"]

    assert any(hook in file.read_text() for file in tests)
