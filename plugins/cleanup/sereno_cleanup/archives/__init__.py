"""What is kept of files and rows that went: a directory of copies and its ``manifest.jsonl``.

A line of the manifest is a copy that was kept (its name, the SHA-256 of what was in the original,
where it came from) or one that was deleted. It is only ever appended to. A copy is whole when its
content has the digest of its line; an archive is complete when each line has its copy and each copy
its line.
"""
