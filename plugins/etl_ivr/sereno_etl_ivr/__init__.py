"""Moves call records from MariaDB, MySQL or PostgreSQL into PostgreSQL, each one once.

How a sync is exact, in five rules that the modules share:

1. A page is **every** row of a half-open range of the cursor column, cut between whole seconds
   (`position`). It is a set: no tie of equal cursors is ever split between two pages, so no unique
   key is needed to read without loss.
2. A row is known by (source, position, content, ordinal): the hash of all its cells as the source
   shows them, and its number among rows that are equal in everything. The target holds that
   unique, so that no rerun, crash or second run can double a row.
3. A page is merged as a set: what both sides hold is left alone, what only the source holds is
   inserted, unless a row that only the target holds has the same key (`layout`): then that row was
   changed at the source, and is updated.
4. The rows, the rejected rows and the watermark commit in one transaction, in which the watermark's
   holder is checked: a run that was superseded writes nothing.
5. Each sync reads again `overlap` behind the watermark, and all rows whose cursor lies outside of
   sensible time (NULL, zero, long ago, in the future): those never move the watermark.
"""
