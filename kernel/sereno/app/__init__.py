"""The composition root: the only place where settings, plugins, engine, store and pages meet."""

from sereno.app.demonstration import demonstrate
from sereno.app.life import ReadyNode
from sereno.app.service import serve

__all__ = ["ReadyNode", "demonstrate", "serve"]
