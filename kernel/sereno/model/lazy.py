"""Loads a module at its first use, for what most processes never need."""

from importlib import import_module
from typing import Any


def lazy(module: str) -> Any:
    """Return the module of the name `module`, which is loaded by the first call.

    For what only some processes come to need, where the memory or the start of all others would pay
    for it; a comment beside the call says who needs it. Layers hold for it as for any import.
    """
    return import_module(module)
