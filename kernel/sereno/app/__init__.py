"""The composition root: the only place where settings, plugins, engine, store and pages meet."""

from sereno.app.demonstrate import demonstrate
from sereno.app.host import ReadyNode
from sereno.app.serve import serve

__all__ = ["ReadyNode", "demonstrate", "serve"]
