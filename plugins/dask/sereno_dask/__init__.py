"""Sereno plugin: jobs on the workers of a Dask cluster."""

__version__ = "0.2.0"
