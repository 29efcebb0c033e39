"""Reads a variable of a project's own environment, by the rules of Sereno's own settings."""

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from sereno.model.errors import ConfigurationError
from sereno.settings.rule import convert
from sereno.settings.secret import hidden

T = TypeVar("T")


def variable(
    name: str, default: T, declared: Any = None, *, environ: Mapping[str, str] | None = None
) -> T:
    """Return what the variable `name` says; an empty one counts as not set, and is `default`.

    `declared`: its type, as a setting of a plugin has it (``Annotated[int, Meta(ge=1)]``, a
    Literal), in place of the default's. `environ`: in place of the process's environment. Raises
    ConfigurationError with a sentence that names the variable; a secret's value is not in it.
    """
    found = (os.environ if environ is None else environ).get(name)
    if not found:
        return default
    kind = type(default) if declared is None else declared
    text = found if kind is str else found.strip()
    try:
        return convert(text, kind, lax=True)  # type: ignore[no-any-return]
    except ValueError as error:
        raise ConfigurationError(f"{name} is '{hidden(name, text)}', {error}") from None
