"""Sereno plugin: deletes what has expired (sessions, log files, the kernel's own history)."""

__version__ = "0.2.0"
