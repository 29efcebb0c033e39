"""Writes names so that a target in another encoding than UTF8 can hold them."""

from collections.abc import Mapping
from typing import Any

import asyncpg


async def fitting(connection: Any, names: Mapping[str, str]) -> dict[str, str]:
    """Return `names` without those whose id the target has no letters for.

    Of a name, a letter that it lacks is written out, as ``\\u20ac``, and with it all that are not
    ASCII.
    """
    if connection.get_settings().server_encoding == "UTF8":
        return dict(names)
    found = {}
    for number, name in names.items():
        if await _is_held(connection, number):
            held = await _is_held(connection, name)
            found[number] = name if held else name.encode("ascii", "backslashreplace").decode()
    return found


async def _is_held(connection: Any, text: str) -> bool:
    if text.isascii():
        return True
    try:
        await connection.fetchval("SELECT $1::text", text)
    except asyncpg.UntranslatableCharacterError:
        return False
    return True
