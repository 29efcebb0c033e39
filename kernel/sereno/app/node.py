"""One node, put together: pool, clock, leader, runner, and what watches over them."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from sereno.app.bus import Bus
from sereno.app.capacity_watch import watch_capacity
from sereno.app.declarations import DeclaredSchedules, declared_jobs
from sereno.app.host_identity import host_identity
from sereno.app.job_client import JobClients
from sereno.app.leader_log import log_who_leads
from sereno.app.placement_watch import watch_placement
from sereno.app.plugin_tables import log_applied
from sereno.app.vacuum_watch import watch_vacuum
from sereno.app.worker_settings import worker_settings
from sereno.engine import history
from sereno.engine.backoff import Backoff
from sereno.engine.blockage import Blockage
from sereno.engine.clock import Clock, steady
from sereno.engine.executors.in_host import NoHost
from sereno.engine.executors.in_loop import InLoop
from sereno.engine.executors.in_process import InProcess
from sereno.engine.executors.in_thread import InThread
from sereno.engine.job_services import JobServices
from sereno.engine.leader import Leader
from sereno.engine.node_context import NodeContext
from sereno.engine.occupancy import Occupancy
from sereno.engine.runner import Runner
from sereno.engine.status import Status
from sereno.engine.stragglers import Stragglers
from sereno.engine.watchdog import Watchdog
from sereno.model.errors import StoreError, StoreRightsError, StoreUnavailableError
from sereno.model.executor import Executor, ExecutorNode
from sereno.model.installed import installed_version
from sereno.model.rehearsal import Places
from sereno.observe.job_watch import JobWatch
from sereno.plugins import PluginRecord, Registry
from sereno.settings import Settings, redact
from sereno.store import nodes, runs
from sereno.store.catalogue import digests
from sereno.store.encoding import Encoding
from sereno.store.hand_overs import Offer
from sereno.store.migration import newest_known
from sereno.store.migrator import Migrated, confirm, migrate, up_to_date
from sereno.store.nodes import NodeFacts
from sereno.store.pool import KEEPING, Database
from sereno.store.session import NodeIdentity
from sereno.tracing import Tracer

log = logging.getLogger("sereno.kernel")


_SEEN_EVERY = 15.0

_LOCK_PATIENCE = 0.5
"""Seconds for which a statement waits for a lock: a leader that waits for longer could not beat."""

_SILENT = 30.0
"""Seconds for which the loop may be silent before the process counts as dead."""


class Node:
    """A node from joining the cluster to leaving it.

    `dsn`: where the database is. `in_host`: what awaits jobs of the application that this node is
    a guest of; `drain_timeout`: how long runs may go on once it is told to stop; `waits`: called
    when the database is away at the start.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        dsn: str,
        status: Status,
        bus: Bus,
        tracer: Tracer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.status = status
        self.clock = clock or Clock()
        patience = min(_LOCK_PATIENCE, settings.lease.total_seconds() / 10)
        self.db = Database(
            dsn,
            application=f"sereno {status.node}",
            lock_timeout=patience,
            keeping=KEEPING,
        )
        self.watch = JobWatch(self.db)
        self.services = JobServices(
            dsn,
            settings.job_connections,
            JobClients(
                dsn,
                registry.jobs,
                max_backfill=settings.max_backfill,
                places=Places(
                    max_running=settings.max_running,
                    threads=settings.threads,
                    processes=settings.processes,
                ),
            ),
        )
        self._dsn = dsn
        self._bus = bus
        self._tracer = tracer
        self._node = NodeIdentity(status.node, 0)
        series = registry.migrations.values()
        self._plugin_migrations = {s.schema: s.migrations[-1].number for s in series}
        self._facts = self._facts_of(None)
        self.in_host: Executor = InLoop()
        self.drain_timeout = settings.drain_timeout
        self.waits: Callable[[], None] = lambda: None
        self.runner: Runner | None = None
        self.leader: Leader | None = None

    async def join(self, http: str | None) -> None:
        """Wait for the database, bring its schema up to date, and become one of its nodes."""
        backoff = Backoff()
        status = self.status
        self._facts = self._facts_of(http)
        while True:
            try:
                await self.db.open()
                schema = await up_to_date(self.db)
                if schema is None:
                    await self.db.close()  # its sessions know the tables as they were
                    schema = await migrate(self._dsn)
                    await self.db.open()
                await self.present()
                await confirm(self.db)
                break
            except StoreRightsError:
                raise  # at the start it is a fault of the installation, to be told at once
            except StoreUnavailableError as error:
                await self.db.close()
                sentence = redact(str(error))
                if sentence != status.store_error:
                    log.warning("waiting for the database", extra={"error": sentence})
                status.store_error = sentence
                self.waits()
                await asyncio.sleep(backoff.wait())
        _log_schema(schema)
        _log_encoding(self.db.encoding)
        status.migrated = True
        status.store_up, status.store_error = True, None

    def _facts_of(self, http: str | None) -> NodeFacts:
        node, label = self.status.node, self.status.label
        return NodeFacts(
            id=node,
            label=label,
            pid=os.getpid(),
            version=self.status.version,
            http=http,
            migration=newest_known(),
            plugin_migrations=self._plugin_migrations,
            cluster=self.settings.cluster,
        )

    async def present(self) -> NodeIdentity:
        """Return this node with the key of its row, which may be another one after a failover."""
        joined = await nodes.join(self.db, self._facts, self._node.key or None)
        history.log_numbers(joined.numbers)
        self._node = NodeIdentity(self.status.node, joined.key)
        return self._node

    def plugins(self) -> Mapping[str, PluginRecord]:
        """Return a record of each plugin; one that the database does not take is failed."""
        refused = self.watch.refused
        return self.registry.plugins.failed({p: r.sentence for p, r in refused.items()}).records

    def silent(self) -> float:
        """Return for how many seconds the firing loop has given no sign of life."""
        pulse = self.status.pulse
        return 0.0 if pulse is None else steady() - pulse

    def dead(self) -> str | None:
        """Return why this node's loop is dead, None while it lives."""
        silent = self.silent()
        limit = max(_SILENT, 3 * self.settings.lease.total_seconds())
        return None if silent < limit else f"its loop has done nothing for {silent:.0f} s"

    async def work(self, stop: asyncio.Event, force: asyncio.Event | None = None) -> None:
        """Stand for the lead and run what is this node's, until `stop` is set and all runs are
        over; they are not waited for once `force` is set."""
        executors, occupancy = self.places()
        async with self.executing():
            await self._work(executors, occupancy, stop, force or asyncio.Event())

    async def _work(
        self,
        executors: Mapping[str, Executor],
        occupancy: Occupancy,
        stop: asyncio.Event,
        force: asyncio.Event,
    ) -> None:
        context = self.context()
        self.leader = leader = Leader(
            self.settings.leader_database_url or self._dsn,
            context,
            declared_jobs(self.registry),
            DeclaredSchedules(self.registry),
            occupancy,
            self.present,
        )
        stragglers = Stragglers(self.db, self.status, occupancy, leader.place_freed)
        self.runner = runner = Runner(
            context,
            self.registry.jobs,
            self.registry.given_to,
            executors,
            stragglers,
            leader,
            self._tracer,
        )
        self.status.at_work = runner.at_work
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(leader.stand(runner)),
            asyncio.ensure_future(runner.work()),
            asyncio.ensure_future(leader.assignments.work(runner)),
            asyncio.ensure_future(self._bus.work()),
            asyncio.ensure_future(stragglers.work()),
            asyncio.ensure_future(self._be_seen()),
            asyncio.ensure_future(watch_capacity(leader, executors)),
            asyncio.ensure_future(watch_vacuum(self.db, self.status)),
            asyncio.ensure_future(watch_placement(self.db, self.status)),
            asyncio.ensure_future(log_who_leads(self.db, self.status, leader.refused)),
            asyncio.ensure_future(
                Watchdog(
                    self.status,
                    0.6 * context.lease,
                    leader.cut,
                    Blockage(self._dsn, self.status.node),
                ).work()
            ),
        ]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # a fault of ours: nothing of this ever returns
            await self._leave(leader, runner, force)
        finally:
            for task in [stopping, *tasks]:
                task.cancel()
            await asyncio.wait(tasks)

    @asynccontextmanager
    async def executing(self) -> AsyncIterator[None]:
        """Have executors opened while runs may be under way."""
        mine = ExecutorNode(
            id=self.status.node,
            label=self.status.label,
            lease=self.settings.lease,
            in_touch=self.status.in_touch,
            worker_settings=worker_settings(self.settings, self._dsn),
            tracing=None if self._tracer is None else self.settings.tracing,
            clients=JobClients,
        )
        async with AsyncExitStack() as stack:
            for executor in self.status.executors.values():
                stack.push_async_callback(executor.close)
                await executor.begin(mine)
            yield

    def context(self) -> NodeContext:
        """Return what its parts share."""
        return NodeContext(
            db=self.db,
            status=self.status,
            clock=self.clock,
            publish=self._bus.publish,
            services=self.services,
            shared=self.settings.shared,
            offer=self._offer(),
            leads=self.settings.leads,
        )

    def _offer(self) -> Offer:
        """Return what this node can be handed."""
        host = host_identity(self.settings)
        offered = self.settings.offers
        here = {
            name: e
            for name, e in self.status.executors.items()
            if not isinstance(e, NoHost) and (not offered or name in offered)
        }
        return Offer(
            places={name: e.capacity for name, e in here.items()},
            closing=tuple(name for name in here if name in offered),
            labels=self.settings.node_labels,
            declared=digests(declared_jobs(self.registry)),
            label=self.status.label,
            host=host.id,
            host_name=host.name,
        )

    def places(self) -> tuple[dict[str, Executor], Occupancy]:
        """Make what runs jobs, by name, and what counts who has a place there."""
        executors = self.status.executors = self._executors()
        bounded = {n: e.capacity for n, e in executors.items() if e.capacity is not None}
        return executors, Occupancy(self.settings.max_running, bounded)

    def _executors(self) -> dict[str, Executor]:
        return {
            **self.registry.executors,
            "async": InLoop(),
            "host": self.in_host,
            "thread": InThread(self.settings.threads),
            "process": InProcess(self.settings.processes),
        }

    async def _be_seen(self) -> None:
        """Keep the node's row fresh, and see that each run of ours is attended to."""
        before: set[UUID] = set()
        while True:
            await asyncio.sleep(_SEEN_EVERY)
            with suppress(StoreError):
                offset = self.status.clock_offset
                await nodes.seen(self.db, self._facts, self._node.key, offset)
                if self.runner is not None:
                    # Seen twice: a claim that is on its way now has arrived by then.
                    alone = self.runner.unattended(await runs.owned(self.db, self.status.node))
                    self.runner.lose([r for r in alone if r["token"] in before])
                    before = {r["token"] for r in alone}

    async def _leave(self, leader: Leader, runner: Runner, force: asyncio.Event) -> None:
        self.status.leaving = True
        limit = self.drain_timeout
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.lease.total_seconds()):
                await leader.leave()
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(self.settings.lease.total_seconds()):
                await leader.withdraw()
        try:
            async with asyncio.timeout(limit.total_seconds() + 10):
                await runner.drain(limit, force)
                await self._bus.drained()
        except TimeoutError:
            log.error("outcomes of runs were left behind", extra={"running": len(runner.attempts)})
        if left := self.status.under_way():
            log.error(
                "runs did not stop when they were told to, and are left", extra={"runs": left}
            )
        with suppress(StoreError):
            await self.db.execute("node_leave", self.status.node)

    async def close(self) -> None:
        """Drop every connection."""
        await self.watch.close()
        await self.services.close()
        await self.db.close()


def _log_encoding(encoding: Encoding) -> None:
    """Log once that some letters will be shown as codes, and how they would not be."""
    if not encoding.utf8:
        log.warning(
            "the database's encoding has not every letter",
            extra={"encoding": encoding.name, "remedy": encoding.remedy},
        )


def _log_schema(schema: Migrated) -> None:
    log_applied(schema, "the schema is made")
    if schema.newer:
        log.info(
            "the schema is of a newer version, made for this one too", extra=_names(schema.newer)
        )
    if schema.waiting:
        log.info("migrations wait for 'sereno migrate --post'", extra=_names(schema.waiting))


def _names(migrations: list[str]) -> dict[str, object]:
    return {"migrations": migrations}


def node_label(settings: Settings) -> str:
    """Return what people call this node: the setting, or the machine's name and process number."""
    return settings.node_name or f"{os.uname().nodename}:{os.getpid()}"


def new_status(settings: Settings, node: UUID) -> Status:
    """Return the status of a node that has just begun."""
    version = installed_version("sereno")
    return Status(node=node, label=node_label(settings), version=version, lease=settings.lease)
