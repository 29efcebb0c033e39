"""``sereno cluster``: the replicas, and which of them leads."""

from datetime import datetime

import click
from rich.text import Text

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.moments import distance, lasting, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import styled, word, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.cli.timeline import as_json as timeline_json
from sereno.cli.timeline import went_back
from sereno.client import LeaderView, NodeView, Straggler
from sereno.observe.leadership import why_nobody_leads

_COLUMNS = (
    TableColumn("node"),
    TableColumn("role"),
    TableColumn("runs", right=True),
    TableColumn("since"),
    TableColumn("seen"),
    TableColumn("version", drop=1),
    TableColumn("pid", drop=3, right=True),
    TableColumn("pages", drop=2),
    TableColumn("id", drop=4),
)


@click.command("cluster")
@click.option("--all", "everything", is_flag=True, help="Also those that left within a day.")
@as_json
@pass_invocation
def command(invocation: Invocation, everything: bool, as_json: bool) -> None:
    """Show the replicas, and which of them leads."""

    found = ask(invocation, lambda client: client.cluster())
    leader, numbers = found.leader, found.numbers
    if found.unfit is not None:
        remark(found.unfit)
    nodes = [node for node in found.nodes if node.present or everything]
    if as_json:
        timelines = [timeline_json(t) for t in found.timelines]
        write_json(
            {
                "leader": leader,
                "nodes": nodes,
                "timelines": timelines,
                "overstaying": found.overstaying,
                "numbers": numbers,
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
    write(_headline(leader, why), wrap=True)
    for timeline in found.timelines:
        write(went_back(timeline), wrap=True)
    for one in numbers:
        write(styled(one.sentence, "yellow"), wrap=True)
    rows = [_row(node, leader, led=why is None) for node in nodes]
    write_table(_COLUMNS, rows, "no replica is running")
    for straggler in found.overstaying:
        write(styled(_works_on(straggler), "yellow"), wrap=True)


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


def _row(node: NodeView, leader: LeaderView, *, led: bool) -> list[Cell]:
    leads = led and node.id == leader.node
    role = "leader" if leads else "standby" if node.present else "left" if node.left_at else "gone"
    return [
        node.label,
        word(role),
        str(node.running),
        lasting(leader.now - node.started_at) if node.present else "-",
        "now" if node.present else _ago(node.left_at or node.seen_at, leader.now),
        node.version,
        str(node.pid),
        node.http or "-",
        str(node.id)[:8],
    ]
