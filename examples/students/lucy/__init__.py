"""The project of the student service."""
