"""What the process of apps says itself: JSON, as the management port does, or a page."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno.model.text import visible_json


async def answer(
    scope: Any, send: Any, status: int, facts: Mapping[str, Any], **headers: str
) -> None:
    """Answer with `facts` as indented JSON; a WebSocket is refused."""
    text = visible_json(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode())
    await send_whole(scope, send, status, f"{text}\n".encode(), "application/json", **headers)


async def send_whole(
    scope: Any, send: Any, status: int, body: bytes, media_type: str, **headers: str
) -> None:
    """Answer with `body`."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1008})
        return
    listed = {
        "content-type": media_type,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **headers,
    }
    coded = [(name.encode(), value.encode("latin-1")) for name, value in listed.items()]
    await send({"type": "http.response.start", "status": status, "headers": coded})
    shown = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": shown})
