"""Puts a report's files into a folder, each there whole or not at all."""

import contextlib
import hashlib
import os
import re
from pathlib import Path

from sereno_reports.parcel import DeliveredReport


def put(parcel: DeliveredReport, address: str) -> None:
    """Write the files of `parcel` into the folder `address`; written again, they are the same.

    Raises OSError.
    """
    root = Path(address)
    if not root.is_dir():
        raise NotADirectoryError(
            f"'{root}' is no folder; make it, or set plugins.reports.deliver_dir"
        )
    stem = file_name(parcel.stem)
    for attachment in parcel.attachments:
        target = root / f"{stem}.{attachment.form}"
        part = root / f".{stem}.{attachment.form}.{os.getpid()}.part"
        try:
            with part.open("wb") as file:
                file.write(attachment.content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


def file_name(stem: str) -> str:
    """Return `stem` as the name of a file: what a recipient is called may hold anything."""
    plain = re.sub(r"[^\w.@+-]+", "_", stem).strip(".")[:100]
    if plain == stem:
        return plain
    return f"{plain}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"
