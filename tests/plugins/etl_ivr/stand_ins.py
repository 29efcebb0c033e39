"""Servers that cannot be had here: a door before MariaDB that speaks as they do.

`Door` hands on what both sides say, packet by packet. `old_door` answers as MariaDB 5.5 to what is
younger than it; `sha2_door` asks for the password as MySQL 8 does for an account of its default.
"""

import asyncio
import hashlib
import os
import struct
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

import pymysql
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Serve = Callable[[Reader, Writer], Awaitable[None]]

_QUERY = 3
_YOUNGER = ((b"max_statement_time", 1193), (b"TRANSACTION READ ONLY", 1064))


async def packet(reader: Reader) -> tuple[int, bytes]:
    head = await reader.readexactly(4)
    return head[3], await reader.readexactly(int.from_bytes(head[:3], "little"))


def framed(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


@contextmanager
def door(url: str, serve: Serve) -> Iterator[str]:
    """Open a door, in a thread of its own, and give the URL that leads through it."""
    loop = asyncio.SelectorEventLoop()
    stop = asyncio.Event()
    opened: Future[int] = Future()

    async def served(reader: Reader, writer: Writer) -> None:
        with suppress(OSError, EOFError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(served, "127.0.0.1", 0)
        opened.set_result(server.sockets[0].getsockname()[1])
        await stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    parts = urlsplit(url)
    try:
        yield url.replace(f":{parts.port}/", f":{opened.result(30)}/")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _pump(reader: Reader, writer: Writer) -> None:
    with suppress(OSError, EOFError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def old_door(url: str, refused: list[bytes]) -> Serve:
    """Speak as MariaDB 5.5.68 does; what it `refused` is kept."""
    port = urlsplit(url).port

    async def serve(reader: Reader, writer: Writer) -> None:
        upstream, there = await asyncio.open_connection("127.0.0.1", port)
        number, greeting = await packet(upstream)
        version, _, rest = greeting[1:].partition(b"\0")
        assert b"MariaDB" in version
        writer.write(framed(number, greeting[:1] + b"5.5.68-MariaDB\0" + rest))
        answers = asyncio.create_task(_pump(upstream, writer))
        try:
            while True:
                number, body = await packet(reader)
                errors = [error for words, error in _YOUNGER if words in body]
                if number == 0 and body[:1] == bytes([_QUERY]) and errors:
                    refused.append(body[1:])
                    text = b"\xff" + struct.pack("<H", errors[0]) + b"#HY000not known yet"
                    writer.write(framed(1, text))
                else:
                    there.write(framed(number, body))
        finally:
            there.close()
            await answers

    return serve


def sha2_door(url: str, password: str) -> Serve:
    """Speak as MySQL 8 does to an account with `caching_sha2_password`, without TLS.

    The password is asked for in full, under the RSA key of this door.
    """
    parts = urlsplit(url)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    async def admitted(reader: Reader, writer: Writer, salt: bytes) -> int:
        """Return the number of the last packet; 0 where the password is wrong."""
        number, answer = await packet(reader)
        stages = [password.encode()]
        for _ in range(2):
            stages.append(hashlib.sha256(stages[-1]).digest())
        nonce = hashlib.sha256(stages[2] + salt).digest()
        scramble = bytes(a ^ b for a, b in zip(stages[1], nonce, strict=True))
        if scramble not in answer:
            return 0
        writer.write(framed(number + 1, b"\x01\x04"))  # as if the cache did not know it: in full
        number, wanted = await packet(reader)
        assert wanted == b"\x02", "the key is asked for, as there is no TLS"
        writer.write(framed(number + 1, b"\x01" + public))
        number, secret = await packet(reader)
        sha1 = hashes.SHA1()
        plain = key.decrypt(secret, padding.OAEP(padding.MGF1(sha1), sha1, None))
        turned = bytes(byte ^ salt[n % 20] for n, byte in enumerate(plain))
        return number if turned == password.encode() + b"\0" else 0

    async def serve(reader: Reader, writer: Writer) -> None:
        salt = bytes(1 + byte % 127 for byte in os.urandom(20))
        flags = 0x00FFF7FF & ~0x20 & ~0x800  # neither compression nor TLS
        writer.write(
            framed(
                0,
                b"\x0a8.0.36\0" + struct.pack("<I", 7) + salt[:8] + b"\0"
                + struct.pack("<H", flags & 0xFFFF) + b"\xff" + struct.pack("<H", 2)
                + struct.pack("<H", flags >> 16) + bytes([21]) + bytes(10) + salt[8:] + b"\0"
                + b"caching_sha2_password\0",
            )
        )  # fmt: skip
        last = await admitted(reader, writer, salt)
        if not last:
            writer.write(framed(2, b"\xff\x15\x04#28000Access denied"))
            return
        session = await asyncio.to_thread(
            pymysql.connect,
            host="127.0.0.1",
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            database=parts.path.lstrip("/"),
            charset="utf8mb4",
        )
        upstream, there = await asyncio.open_connection(sock=session._sock.dup())
        session._force_close()
        writer.write(framed(last + 1, b"\0\0\0\2\0\0\0"))
        await asyncio.gather(_pump(upstream, writer), _pump(reader, there))

    return serve
