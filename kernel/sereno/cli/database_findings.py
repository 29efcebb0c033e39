"""Says in sentences what of a database would hinder replicas, or them alone."""

from collections.abc import Iterator
from datetime import timedelta

from sereno.app.connections import most_connections
from sereno.model.check import Finding
from sereno.model.installed import installed_version
from sereno.settings import Settings
from sereno.store.inspection import Inspection

_OLDEST = 140_000
_OFFSET = timedelta(seconds=1)
_NAMED = 3


def database_findings(found: Inspection, settings: Settings, *, apps: bool) -> Iterator[Finding]:
    """Yield what is at fault, and what is worth knowing."""
    if found.version < _OLDEST:
        yield Finding(
            f"the database is PostgreSQL {found.version // 10_000}, sereno works with 14 and later",
            fault=True,
        )
    if found.standby:
        yield Finding(
            "the database is a standby, which nobody can write: name the primary too in "
            "database_url, as host1,host2",
            fault=True,
        )
    if found.leader_pooled:
        yield Finding(
            "a pooler is between this machine and the database, and a replica cannot lead through "
            "one: set leader_database_url (SERENO_LEADER_DATABASE_URL) to a direct connection",
            fault=True,
        )
    if found.cluster != settings.cluster:
        yield Finding(
            f"the database is of {_cluster(found.cluster)}, and the settings of "
            f"{_cluster(settings.cluster)}: no replica joins it with these; see `cluster` and "
            "`sereno new-cluster`",
            fault=True,
        )
    yield from _rights(found)
    if found.letters is not None:
        yield Finding(found.letters)
    if found.isolation:
        yield Finding(
            "transactions begin at another level than READ COMMITTED "
            f"({', '.join(found.isolation)}): replicas name theirs; a program that queues runs in "
            "its own may be refused with 40001 (serialization failure), and tries the whole again"
        )
    if abs(found.clock_offset) > _OFFSET:
        way = "ahead of" if found.clock_offset > timedelta(0) else "behind"
        seconds = abs(found.clock_offset.total_seconds())
        yield Finding(
            f"the database's clock is {seconds:.1f} s {way} this machine's: schedules follow the "
            "database's, which NTP is to keep right"
        )
    if found.behind:
        yield Finding(
            "the numbers of runs are behind their rows, as after a logical copy: start a replica "
            "before programs queue runs; a leader sets them right"
        )
    yield from _connections(found, settings, apps)
    here = installed_version("sereno")
    others = [version for version in found.versions if version != here]
    if others:
        yield Finding(f"replicas of other versions than this one ({here}) run: {', '.join(others)}")


def _cluster(name: str) -> str:
    return f"the cluster '{name}'" if name else "a cluster without a name"


def _rights(found: Inspection) -> Iterator[Finding]:
    if found.owner or not found.lacking:
        return
    more = f" and {len(found.lacking) - _NAMED} more" if len(found.lacking) > _NAMED else ""
    named = ", ".join(f"sereno.{table}" for table in found.lacking[:_NAMED])
    yield Finding(
        f"the role '{found.role}' may not write {named}{more}: no replica can run as it; "
        f"`sereno grants runner --role {found.role}` prints what it lacks"
    )


def _connections(found: Inspection, settings: Settings, apps: bool) -> Iterator[Finding]:
    each = most_connections(settings, apps=apps)
    replicas = max(2, found.nodes) + 1  # one more while a deploy replaces them
    if each * replicas > found.room:
        yield Finding(
            f"{replicas} replicas (one more than run, as in a deploy) may open {each} connections "
            f"each, {each * replicas} in all, and the database has room for {found.room}: raise "
            "max_connections, or lower job_connections and processes"
        )
