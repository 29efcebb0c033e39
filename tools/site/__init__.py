"""Builds the site of the manual, with what the pages of the repository say; `make docs` runs it."""
