"""Keeps a replica's link to the cluster, in a thread: has each worker host a node, for as long as
there is a scheduler to ask.

States: away (no scheduler answers; tried again, from a second to half a minute apart); linked (the
scheduler has been told, and tells each worker that comes). Nothing of a run goes over the link:
with the scheduler gone, workers that are there work on until they end.
"""

import logging
import pickle
import threading
from contextlib import ExitStack, suppress
from typing import Any

import msgspec

from sereno import ExecutorNode, __version__, lazy
from sereno_dask import __version__ as own_version
from sereno_dask.settings import Settings
from sereno_dask.sight import sight_of

log = logging.getLogger("sereno.dask")

VERSION = f"sereno {__version__}, sereno-dask {own_version}"
"""What a worker has to have as well."""

_LOOKED_EVERY = 2.0
_CONNECTING = "10s"
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_ENDING = 20.0


class HostedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker makes a node of. `settings`: the kernel's, for ``Sereno``; it holds secrets."""

    settings: Any
    plugin: Settings


class Link:
    """The link of one replica."""

    def __init__(self, settings: Settings, node: ExecutorNode) -> None:
        hosted = HostedSettings(settings=node.worker_settings, plugin=settings)
        self._settings = settings
        self._sight = sight_of(settings)
        self._payload = pickle.dumps(hosted)
        self._ending = threading.Event()
        self._reported = ""
        self._thread = threading.Thread(target=self._work, name="sereno dask", daemon=True)

    def start(self) -> None:
        """Begin; whether there is a cluster is told in the log."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the end of what is this replica's own."""
        self._ending.set()
        self._thread.join(_ENDING)

    def _work(self) -> None:
        wait = _FIRST_WAIT
        while not self._ending.is_set():
            try:
                with ExitStack() as stack:
                    client = self._opened(stack)
                    wait = _FIRST_WAIT
                    self._keep(client)
            except Exception as error:  # whatever Dask raises: the replica's other work goes on
                self._report(f"{type(error).__name__}: {error}")
            self._sight.lose()
            self._ending.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _opened(self, stack: ExitStack) -> Any:
        """Return a client of the cluster, which is begun where it is this replica's own."""
        # Loaded by who has a cluster: it is forty megabytes.
        distributed = lazy("distributed")
        chosen, address = self._settings, self._settings.scheduler()
        if address is None:
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=chosen.local,
                    processes=True,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address=None,
                )
            )
        security = None
        if chosen.tls_ca is not None:
            security = distributed.Security(
                tls_ca_file=str(chosen.tls_ca),
                tls_client_cert=str(chosen.tls_certificate),
                tls_client_key=str(chosen.tls_key),
                require_encryption=True,
            )
        client = distributed.Client(
            address, timeout=_CONNECTING, security=security, set_as_default=False, name="sereno"
        )
        stack.callback(_closed, client)
        return client

    def _keep(self, client: Any) -> None:
        """Tell each scheduler that answers, for as long as one does."""
        module = lazy("sereno_dask.hosting")
        lazy("cloudpickle").register_pickle_by_value(module)
        hosting = module.Hosting("sereno_dask.worker", VERSION, self._payload)
        linked = None
        while not self._ending.is_set():
            if client.status == "closed":
                raise ConnectionError("the scheduler is gone")
            # A scheduler that comes back at the same address has forgotten all.
            told = client.scheduler_info() if client.status == "running" else {}
            known = told.get("id")
            if known is None:
                self._sight.lose()
            elif known != linked:
                self._register(client, hosting)
                linked = known
            if known is not None:
                self._sight.see(told.get("workers") or {})
            self._ending.wait(_LOOKED_EVERY)

    def _register(self, client: Any, hosting: Any) -> None:
        try:
            client.register_plugin(hosting)
        except Exception as error:  # of one worker; the others host runs
            self._report(f"{error}")
        else:
            self._reported = ""
            log.info(
                "the cluster's workers host runs", extra={"scheduler": client.scheduler.address}
            )

    def _report(self, sentence: str) -> None:
        """Log what is wrong, once."""
        if sentence != self._reported:
            self._reported = sentence
            log.warning("not all is well with the Dask cluster", extra={"error": sentence})


def _closed(client: Any) -> None:
    with suppress(Exception):  # the scheduler may be gone
        client.close(timeout=2)
