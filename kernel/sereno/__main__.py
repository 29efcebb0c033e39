"""``sereno``, and ``python -m sereno``: a command, or the replica that ``sereno run`` became."""

import os
import sys

from sereno.model.lazy import lazy
from sereno.model.replica_order import VARIABLE


def main() -> None:
    """Run what the process's arguments ask for."""
    order = os.environ.pop(VARIABLE, None)
    if order is None:
        lazy("sereno.cli").main()
    else:  # which does without all that a command needs
        sys.exit(lazy("sereno.app.replica").main(order))


if __name__ == "__main__":
    main()
