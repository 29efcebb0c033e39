"""The adapters: each runs with the Python of its own environment, and imports `wire` alone."""
