"""Sereno plugin: tells people by webhook and mail, and a watchdog elsewhere by pings."""

__version__ = "0.2.0"
