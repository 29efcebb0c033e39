"""The composition root: the only place where settings, plugins, engine, store and pages meet."""

from sereno.app.serve import serve

__all__ = ["serve"]
