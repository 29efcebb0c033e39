"""Finds, judges, archives and deletes log files, and touches nothing else.

1. A root is resolved once; below it no symlink is followed and no other device is entered.
2. Only a regular file with one name (no hard links) that matches its rule's glob may go.
3. The plan is made first, as a pure function; above its ceilings nothing is deleted.
4. Each file is looked at again just before it goes: what has changed since the plan stays.
5. Where a rule has an archive, a verified copy is on disk before the file goes.
"""
