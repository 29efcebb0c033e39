"""The same jobs by Sereno, APScheduler and Celery, for `tools/reference/lines.py` to count lines.

Those of the others are written from their documentation, with what they bring, and are not run.
"""
