"""The settings of the plugin: where the cluster is, and what a run takes of a worker."""

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_SCHEMES = ("tcp", "tls")


class ExecutorNeeds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[plugins.dask.executors.<name>]``: what a run in the executor of this name takes of its
    worker. `resources`: as workers are started with (``--resources "GPU=2"``); `memory_mb`: of the
    worker's limit. A worker has as many places as it has of the scarcest."""

    resources: dict[str, Annotated[float, Meta(gt=0)]] = {}
    memory_mb: Annotated[int, Meta(ge=1)] | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``[plugins.dask]``. One of `address` (``tcp://host:8786``, ``tls://...``), `scheduler_file`
    and `local`, workers of this replica's own; with none the executors are known, and have no
    places. `tls_ca`, `tls_certificate`, `tls_key`: PEM files. `allow_plain`: tcp also where it
    leaves this machine; the database's address goes over it. `places`: runs at once on a worker,
    None: as many as it has threads. `nice`: by so much the children that run jobs are nicer than
    their worker; None: 5 where it is one of `local`, whose machine a leader works on too, else 0.
    """

    address: str | None = None
    scheduler_file: Path | None = None
    local: Annotated[int, Meta(ge=0, le=256)] = 0
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False
    places: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    nice: Annotated[int, Meta(ge=0, le=19)] | None = None
    executors: dict[str, ExecutorNeeds] = msgspec.field(
        default_factory=lambda: {"dask": ExecutorNeeds()}
    )

    def __post_init__(self) -> None:
        chosen = [n for n in ("address", "scheduler_file", "local") if getattr(self, n)]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} are set: one says where the cluster is")
        tls = [self.tls_ca, self.tls_certificate, self.tls_key]
        if any(tls) and not all(tls):
            raise ValueError("tls_ca, tls_certificate and tls_key belong together: set all or none")
        if self.address is not None:
            self.check_address(self.address)
        if not self.executors:
            raise ValueError("executors is empty: leave it out, and there is the executor 'dask'")
        for name in self.executors:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"executors: {name!r:.100} is no name of lower-case letters, digits, '_', '-'"
                )

    @property
    def connects(self) -> bool:
        """Return whether there is a cluster to connect to."""
        return bool(self.address or self.scheduler_file or self.local)

    def scheduler(self) -> str | None:
        """Return the address of the scheduler, None of a local one; raises OSError, ValueError."""
        if self.scheduler_file is None:
            return self.address
        try:
            found = json.loads(self.scheduler_file.read_text())["address"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.scheduler_file} is no scheduler file of Dask's") from error
        self.check_address(str(found))
        return str(found)

    def check_address(self, address: str) -> None:
        """Raise ValueError where it is none, or where secrets would go over it in the plain."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if host is None or port is None or parts.scheme not in _SCHEMES:
            raise ValueError(
                f"address is {address!r:.200}, it must be tcp://host:port or tls://host:port"
            )
        if parts.scheme == "tls":
            if not self.tls_ca:
                raise ValueError(
                    f"address is {address!r:.200}: set tls_ca, tls_certificate, tls_key"
                )
        elif not (self.allow_plain or _is_loopback(host)):
            raise ValueError(
                f"address is {address!r:.200}: settings and the database's address would go there "
                "in the plain; use tls://, or set allow_plain = true where the network is your own"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
