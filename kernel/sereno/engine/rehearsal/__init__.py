"""Plays the coming days with the planner and the leader's rules, in no time and on no database."""

from sereno.engine.rehearsal.scene import Scene
from sereno.engine.rehearsal.stage import rehearse

__all__ = ["Scene", "rehearse"]
