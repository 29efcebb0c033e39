"""Several nodes on one database, of which the first one leads and hands runs to the others."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from sereno.model.job import Job

from .node import Eye, LiveNode, looking


@dataclass
class LiveCluster:
    """Nodes on one database: the first one leads. `gate`: what their jobs wait for."""

    dsn: str
    eye: Eye
    stack: AsyncExitStack
    nodes: list[LiveNode] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @asynccontextmanager
    async def on(cls, dsn: str) -> AsyncIterator[Self]:
        """Give one, and stop all its nodes."""
        async with looking(dsn) as eye, AsyncExitStack() as stack:
            found = cls(dsn, eye, stack)
            try:
                yield found
            finally:
                found.gate.set()

    async def join(self, *jobs: Job, **settings: Any) -> LiveNode:
        """Add a node, and return once the leader may hand it runs."""
        node = LiveNode(self.dsn, *jobs, **{"threads": 1, **settings})
        await node.start()
        self.stack.push_async_callback(self.part, node)
        self.nodes.append(node)
        if len(self.nodes) == 1:
            await node.leads()
        await self.eye.until("SELECT places IS NOT NULL FROM sereno.node WHERE id = $1", node.id)
        async with asyncio.timeout(45):
            while not self._counts_on(node):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return node

    def _counts_on(self, node: LiveNode) -> bool:
        """Tell whether the node that leads now may hand runs to `node`: each term looks anew."""
        leading = [n for n in self.nodes if n.kernel.leader is not None and n.status.leading]
        return any(n is node or node.id in n.kernel.leader.placement.known for n in leading)  # type: ignore[union-attr]

    async def part(self, node: LiveNode) -> None:
        """Stop a node, whatever its jobs wait for."""
        self.gate.set()
        if node in self.nodes:
            self.nodes.remove(node)
            await node.stop()
