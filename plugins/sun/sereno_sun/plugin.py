"""What the plugin brings: a kind of trigger, and no job."""

from collections.abc import Callable, Mapping

from sereno import Trigger, TriggerArguments, hookimpl
from sereno_sun.trigger import parse_sun


@hookimpl
def sereno_register_trigger_kinds() -> Mapping[str, Callable[[TriggerArguments], Trigger]]:
    """Return the kind ``sun``."""
    return {"sun": parse_sun}
