"""Breaks three real replicas in random order, and asks the database what became of their jobs.

``python -m tests.faults.chaos --seed N --faults 200``
"""
