"""Opens a session of MariaDB or MySQL: with TLS or without, whatever account and version it is."""

import asyncio
import ssl
import struct
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomysql
from pymysql.charset import charset_by_name
from pymysql.constants import CLIENT
from pymysql.converters import encoders

from sereno_etl_ivr.errors import SourceError
from sereno_etl_ivr.tls import Tls

_CONNECT_SECONDS = 10
_PACKET = 2**24 - 1
_REMEDY = "check plugins.etl_ivr.source_tls"


class _MysqlConnection(aiomysql.Connection):  # type: ignore[misc]
    """A connection that says nothing to a server without TLS where that is required.

    TLS begins on the transport that is there: aiomysql closes it and goes on with a copy of its
    socket, which uvloop may still be busy with.
    """

    must_hide = False
    _ssl_context: ssl.SSLContext | None

    async def _request_authentication(self) -> None:
        context = self._ssl_context
        if context is not None and self.server_capabilities & CLIENT.SSL:
            charset = charset_by_name(self.charset).id
            self.write_packet(struct.pack("<iIB23s", self.client_flag, _PACKET, charset, b""))
            await self._writer.start_tls(context, server_hostname=self._host)
            self._reader._transport = self._writer.transport
            self._secure = True
        elif self.must_hide:
            raise ssl.SSLError("the server speaks no TLS")
        else:
            self.client_flag &= ~CLIENT.SSL
        self._ssl_context = None  # done
        await super()._request_authentication()


async def log_in(url: str, place: str, tls: Tls) -> Any:
    """Return a new session. Raises SourceError, and what aiomysql raises."""
    parts = urlsplit(url)
    try:
        context = await asyncio.to_thread(tls.context)
    except OSError as error:
        raise SourceError(f"source {place}: TLS: {error}; {_REMEDY}") from error
    connection = _MysqlConnection(
        host=parts.hostname or "localhost",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        db=unquote(parts.path.lstrip("/")) or None,
        charset="utf8mb4",
        use_unicode=False,
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        conv=dict(encoders),  # no decoders: every cell stays the bytes that came
        ssl=context,
    )
    connection.must_hide = tls.required
    try:
        await connection._connect()
    except aiomysql.OperationalError as error:
        await hang_up(connection)
        if isinstance(error.__cause__, ssl.SSLError):
            fault = error.__cause__
            raise SourceError(f"source {place}: TLS: {fault}; {_REMEDY}") from error
        raise
    return connection


async def hang_up(connection: Any) -> None:
    """End a session at once: TLS would wait for the server's farewell."""
    writer = connection._writer
    if writer is not None:
        writer.transport.abort()
    connection.close()
    await asyncio.sleep(0)
