"""Deletes the rows of a table that have expired, so that nobody else notices.

1. The cutoff is one instant of the database's clock, taken at the start.
2. Rows go in small batches, each a short transaction; a row that is locked stays for the next run.
3. A look goes on where the last one ended: what was deleted and cannot be vacuumed yet, since
   somebody holds a snapshot, is passed once and not once a batch.
4. A row with an archive is on the disk before its transaction commits.
5. A partition that has expired as a whole is dropped.
"""
