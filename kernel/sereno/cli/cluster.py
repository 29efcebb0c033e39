"""``sereno cluster``: the replicas, and which of them leads."""

from datetime import datetime, timedelta
from typing import Any

import click
from msgspec.structs import asdict
from rich.text import Text

from sereno.cli.blackout import meant
from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.maintenance import headline
from sereno.cli.moments import distance, lasting, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import styled, word, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.cli.timeline import as_json as timeline_json
from sereno.cli.timeline import went_back
from sereno.client import LeaderView, NodeTotal, NodeView, Straggler
from sereno.observe.leadership import why_nobody_leads

_COLUMNS = (
    TableColumn("node"),
    TableColumn("role"),
    TableColumn("runs", right=True),
    TableColumn("places", drop=3),
    TableColumn("labels", drop=3),
    TableColumn("host", drop=3),
    TableColumn("since"),
    TableColumn("seen"),
    TableColumn("version", drop=1),
    TableColumn("pid", drop=3, right=True),
    TableColumn("pages", drop=2),
    TableColumn("id", drop=4),
)

_TOTALS = (
    TableColumn("node"),
    TableColumn("job"),
    TableColumn("succeeded", right=True),
    TableColumn("failed", right=True),
    TableColumn("cancelled", right=True),
    TableColumn("mean", right=True),
)


@click.command("cluster")
@click.option("--all", "everything", is_flag=True, help="Also those that left within a day.")
@click.option("--totals", is_flag=True, help="And what each has ended of the newest 25,000 runs.")
@as_json
@pass_invocation
def command(invocation: Invocation, everything: bool, totals: bool, as_json: bool) -> None:
    """Show the replicas, and which of them leads."""

    found = ask(invocation, lambda client: client.cluster())
    ended = ask(invocation, lambda client: client.node_totals()) if totals else None
    leader, numbers = found.leader, found.numbers
    if found.unfit is not None:
        remark(found.unfit)
    nodes = [node for node in found.nodes if node.present or everything]
    if as_json:
        timelines = [timeline_json(t) for t in found.timelines]
        write_json(
            {
                "leader": leader,
                "nodes": nodes if ended is None else [_with_totals(n, ended) for n in nodes],
                "timelines": timelines,
                "overstaying": found.overstaying,
                "numbers": numbers,
                "blackouts": found.blackouts,
                "maintenance": found.maintenance,
                "waiting": found.waiting,
            }
        )
        return
    why = why_nobody_leads(
        held=leader.held,
        holder=leader.holder,
        beat_at=leader.beat_at,
        now=leader.now,
        lease=invocation.settings.lease,
    )
    if found.maintenance is not None:
        write(styled(headline(found.maintenance), "yellow"), wrap=True)
    write(_headline(leader, why), wrap=True)
    for timeline in found.timelines:
        write(went_back(timeline), wrap=True)
    for blackout in found.blackouts:
        until = moment(blackout.ends_at, leader.now)
        sentence = f"blackout {blackout.id} of {meant(blackout)} until {until}: {blackout.reason}"
        write(styled(sentence, "yellow"), wrap=True)
    for one in numbers:
        write(styled(one.sentence, "yellow"), wrap=True)
    rows = [_row(node, leader, led=why is None) for node in nodes]
    write_table(_COLUMNS, rows, "no replica is running")
    if ended is not None:
        write_table(_TOTALS, _total_rows(nodes, ended), "none of them has ended a run")
    for sentence in found.waiting:
        write(styled(sentence, "yellow"), wrap=True)
    for straggler in found.overstaying:
        write(styled(_works_on(straggler), "yellow"), wrap=True)


def _with_totals(node: NodeView, ended: list[NodeTotal]) -> dict[str, Any]:
    found = [{**asdict(one), "node": node.label} for one in ended if one.node == node.id]
    return {**asdict(node), "totals": found}


def _total_rows(nodes: list[NodeView], ended: list[NodeTotal]) -> list[list[Cell]]:
    return [
        [
            node.label,
            one.job,
            str(one.succeeded),
            str(one.failed),
            str(one.cancelled),
            lasting(timedelta(seconds=one.mean_seconds)),
        ]
        for node in nodes
        for one in ended
        if one.node == node.id
    ]


def _works_on(one: Straggler) -> str:
    return (
        f"run {one.run_id} of job '{one.job}' has worked on on '{one.label}' for"
        f" {lasting(one.now - one.since)} after it was told to stop, and keeps its place"
        f" ({one.executor} executor)"
    )


def _headline(leader: LeaderView, why: str | None) -> Text:
    if why is None and leader.acquired_at is not None:
        since = f"{moment(leader.acquired_at, leader.now)} ({_ago(leader.acquired_at, leader.now)})"
        beat = _ago(leader.beat_at, leader.now)
        named = leader.label or str(leader.node)
        facts = f", term {leader.term}, since {since}, last beat {beat}"
        return Text.assemble("leader ", styled(named, "bold green"), facts)
    if why is not None and leader.holder is not None:
        return Text(why, style="bold red")
    if leader.term == 0:
        return Text("no leader: none has led yet; `sereno run` starts a replica", style="bold red")
    named = leader.label or str(leader.node)
    ago = _ago(leader.beat_at, leader.now)
    sentence = f"no leader: '{named}' led last, term {leader.term}, until {ago}"
    return styled(sentence, "bold red")


def _ago(instant: datetime | None, now: datetime) -> str:
    return distance(instant, now) or "never"


def _places(node: NodeView) -> str:
    """Return what it has places for, besides its loop."""
    bounded = {name: n for name, n in (node.places or {}).items() if n is not None}
    return ", ".join(f"{n} {name}" for name, n in sorted(bounded.items())) or "-"


def _row(node: NodeView, leader: LeaderView, *, led: bool) -> list[Cell]:
    leads = led and node.id == leader.node
    there = "draining" if node.draining else "standby"
    role = "leader" if leads else there if node.present else "left" if node.left_at else "gone"
    return [
        node.label,
        word(role),
        str(node.running),
        _places(node),
        ", ".join(node.labels or ()) or "-",
        node.host_name or node.host or "-",
        lasting(leader.now - node.started_at) if node.present else "-",
        "now" if node.present else _ago(node.left_at or node.seen_at, leader.now),
        node.version,
        str(node.pid),
        node.http or "-",
        str(node.id)[:8],
    ]
