"""Breaks a Dask cluster of processes in random order, its leader and its database, and asks the
database and the jobs' file what became of the runs.

``python -m tests.faults.chaos --dask --seed N --faults 60``
"""
