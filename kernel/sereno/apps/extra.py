"""Tells whether what serves apps is installed: it comes with the extra ``sereno[apps]``."""

from importlib.util import find_spec


def missing() -> str | None:
    """Return the sentence to say where it is not."""
    if find_spec("uvicorn") is not None:
        return None
    return "serving apps needs uvicorn, which is not installed: pip install 'sereno[apps]'"
