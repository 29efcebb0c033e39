"""Looks whether data are what they should be, changes nothing, and keeps what was found.

A check is one statement in a read-only transaction with a time limit. It fails by what it finds, or
because it could not be made: a check that cannot be made is not a good one.
"""
