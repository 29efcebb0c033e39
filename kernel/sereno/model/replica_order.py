"""What ``sereno run`` hands over to the replica that its process becomes."""

from typing import Any

import msgspec

from sereno.model.installed import Installed

VARIABLE = "_SERENO_REPLICA"
"""The environment's variable that holds an order, in JSON. It says no more than the command line
of the same process, which more people may read."""


class ReplicaOrder(msgspec.Struct, frozen=True):
    """How a replica begins. `config`: the settings file, None for where it is looked for; `flags`:
    dotted settings; `debug`: what ends it shows its traceback."""

    installed: Installed
    config: str | None = None
    flags: dict[str, Any] = {}
    debug: bool = False
