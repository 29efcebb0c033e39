"""Sereno plugin: the trigger kind ``sun``, for what is due at sunrise, sunset, dawn, dusk, noon."""

from sereno_sun.trigger import Sun, sun

__version__ = "0.2.0"

__all__ = ["Sun", "sun"]
