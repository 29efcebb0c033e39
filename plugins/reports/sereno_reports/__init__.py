"""Sereno plugin: the daily report of the calls, as HTML with a chart, CSV and figures."""

__version__ = "0.2.0"
