"""What a node and its process of apps say to each other, over a socket of their own."""

import pickle
from typing import Literal

import msgspec

from sereno.settings import Settings


class AppsOrder(msgspec.Struct, frozen=True):
    """What the node begins with. `plugins`: those that are no installed distribution, as name and
    module; `entry_points`: whether installed ones count. `path`: where modules are found."""

    settings: Settings
    plugins: list[tuple[str, str]]
    entry_points: bool
    path: list[str]

    def encoded(self) -> bytes:
        """Return it with its length in front."""
        body = pickle.dumps(self)
        return len(body).to_bytes(4, "big") + body


def decode_order(body: bytes) -> AppsOrder:
    """Read an order of this process's own parent."""
    order: AppsOrder = pickle.loads(body)  # noqa: S301 - nobody else has the other end
    return order


class AppsReport(msgspec.Struct, frozen=True):
    """A line from the process of apps. `beat`: its loop turns; `ready`: `text` is the address;
    the rest: it ends, and `text` says why."""

    kind: Literal["beat", "ready", "taken", "configuration", "failed"]
    text: str = ""

    def line(self) -> bytes:
        """Return it as a line."""
        return msgspec.json.encode(self) + b"\n"
