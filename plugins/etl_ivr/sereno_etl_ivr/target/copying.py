"""Puts a page into a table by COPY."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any

from sereno_etl_ivr.page import DELIMITER, Copy, PageDamaged, SourcePage

_END = b"\n"


async def copy_page(
    connection: Any,
    page: SourcePage,
    copy: Copy,
    table: str,
    columns: Sequence[str],
    end: bytes = _END,
    sending: AbstractAsyncContextManager[Any] | None = None,
) -> None:
    """Copy a page, whose text is `copy`, into ``schema.table``. `end`: what ends each line.

    `sending`: held while the text is sent, not while the server gets ready for it.

    Raises PageDamaged when other than all rows arrived.
    """

    async def chunks() -> AsyncGenerator[bytes, None]:
        async with sending or nullcontext():
            for chunk in copy.chunks:  # no cell holds a line's end: it is escaped there
                yield chunk if end == _END else chunk.replace(_END, end)

    schema, _, name = table.partition(".")
    async with aclosing(chunks()) as sent:
        status = await connection.copy_to_table(
            name,
            schema_name=schema,
            columns=columns,
            source=sent,
            format="text",
            delimiter=DELIMITER,
            null=page.null,
            encoding="utf8",
        )
    copied = int(status.split()[-1])
    if copied != page.rows:
        raise PageDamaged(f"{copied} rows arrived of {page.rows}")
