"""Writes the parts of the manual that the code itself can tell; `make docs` runs it."""
