"""Why a slot of a job did (not) run, in sentences."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rich.text import Text

from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact, lasting
from sereno.cli.output import styled, title, word, write, write_json
from sereno.cli.policy_text import legible
from sereno.cli.query import ask
from sereno.cli.run_page import print_outcome
from sereno.client import Client, Explanation, RuleView, RunDetail, SlotView
from sereno.model.errors import NotFoundError
from sereno.model.run import FILLED, FINAL
from sereno.triggers.occurrences import next_slot


def show(
    invocation: Invocation, job: str, at: str, lines: int, *, reveal: bool, as_json: bool
) -> None:
    """Print what became of the slots of `job`, or of the schedule of that name, at the instant that
    the text `at` names."""

    answer = ask(invocation, lambda client: _find(client, job, at, lines, reveal))
    if as_json:
        write_json(_as_json(job, answer))
        return
    if answer.kept_from is not None and answer.forgotten:
        write(
            f"The history is kept from {exact(answer.kept_from)} on; what was due before, and what "
            "became of it, is not known any more.",
            wrap=True,
        )
        return
    for n, rule in enumerate(answer.rules):
        if n:
            write()
        for sentence in _sentences(rule, answer):
            write(sentence, wrap=True)
    if not answer.rules:
        write(f"job '{job}' had no schedule at {exact(answer.at)}")
        for slot in answer.slots:
            write(_verdict(slot, answer), wrap=True)
    for run in answer.runs.values():
        if len(answer.runs) > 1:
            write(Text.assemble(f"Run {run.id}. ", _run(run)), wrap=True)
            continue
        title(f"run {run.id}")
        write(_run(run))
        print_outcome(run)


async def _find(client: Client, name: str, at: str, lines: int, reveal: bool) -> Explanation:
    job = await _job_of(client, name)
    instant = read_instant(at, await client.now())
    if at.strip()[0] in "+-":
        instant = instant.replace(second=0, microsecond=0)
    answer = await client.explain(job, instant, lines=lines, reveal=reveal)
    return answer if job == name else answer.of(name)


async def _job_of(client: Client, name: str) -> str:
    """Return the job that `name` is, or whose schedule; raises NotFoundError, as of a job."""
    try:
        return (await client.job(name)).name
    except NotFoundError:
        with suppress(NotFoundError):
            for schedule in await client.schedules(name):
                if schedule.name == name:  # it may be a pattern, too
                    return schedule.job
        raise


def brief(trigger: str) -> str:
    """Return a trigger for a sentence: one that holds the days of a calendar has thousands of
    letters."""
    return trigger if len(trigger) <= 200 else f"{trigger[:120]} ... {trigger[-40:]}"


def _sentences(rule: RuleView, answer: Explanation) -> Iterator[Text | str]:
    found = [s for s in answer.slots if s.schedule == rule.name]
    due = answer.due[rule.name]
    for slot in found:
        yield _verdict(slot, answer)
    if any(slot.verdict != FILLED for slot in found):
        yield _rule(rule)
        return
    if due is None:
        yield f"At {exact(answer.at)} nothing was due of schedule '{rule.name}'."
        yield from _why_not_due(rule, answer)
    elif due > answer.now:
        yield f"The slot {exact(due)} of schedule '{rule.name}' is still to come."
        yield f"It follows '{brief(rule.definition.trigger)}'."
    elif due > rule.settled_to:
        yield f"The slot {exact(due)} of schedule '{rule.name}' is due and has no verdict yet."
        yield "The next leader settles it; `sereno cluster` shows whether one leads."
    else:
        yield f"The slot {exact(due)} of schedule '{rule.name}' was due; its verdict is not kept."
        yield "It is older than the retention of the history, or its row was deleted by hand."


def _verdict(slot: SlotView, answer: Explanation) -> Text:
    leader = f"'{slot.node}'" if slot.node else "a replica that is not kept any more"
    decided = f" Decided by {leader}, leader of term {slot.term}, at {exact(slot.decided_at)}."
    reason = f": {slot.reason}." if slot.reason else "."
    verdict = word(slot.verdict)
    if slot.slots > 1:
        span = f"{exact(slot.first_slot)} to {exact(slot.last_slot)}"
        start = f"The slot is one of {slot.slots:,} of schedule '{slot.schedule}', {span}, all "
        return Text.assemble(styled(start), verdict, styled(reason), styled(decided))
    start = f"The slot {exact(slot.first_slot)} of schedule '{slot.schedule}' "
    if slot.verdict == FILLED:
        tail = f", {slot.reason}, at {exact(slot.decided_at)}: run {slot.run_id}."
        filled = Text("was filled later", style=verdict.style)
        return Text.assemble(styled(start), filled, styled(tail))
    if slot.verdict == "waiting":
        run = answer.runs.get(slot.run_id or 0)
        since = f", for {lasting(answer.now - slot.first_slot)}" if run is not None else ""
        tail = f" for its place: its run {slot.run_id} has not begun{since}."
        return Text.assemble(start, Text("waits", style=verdict.style), tail)
    if slot.run_id is not None and slot.verdict == "skipped":  # a person's word, not a leader's
        decided = f" Its run {slot.run_id} ended unbegun, at {exact(slot.decided_at)}."
    words = {"ran": "ran on time", "late": "ran late"}.get(slot.verdict, f"was {slot.verdict}")
    return Text.assemble(
        styled(start), Text(words, style=verdict.style), styled(reason), styled(decided)
    )


def _rule(rule: RuleView) -> str:
    version = rule.definition
    policies = ", ".join(f"{name} = {value}" for name, value in legible(version.policies).items())
    return (
        f"It followed '{brief(version.trigger)}', version {version.version} of the schedule, by "
        f"{rule.changed_by} at {exact(rule.changed_at)}"
        + (f" ({rule.reason})" if rule.reason else "")
        + (f", with {policies}." if policies else ".")
    )


def _why_not_due(rule: RuleView, answer: Explanation) -> Iterator[str]:
    version = rule.definition
    if version.state in ("orphaned", "removed"):
        at = exact(rule.changed_at)
        yield f"The schedule was {version.state} by {rule.changed_by} at {at}."
    elif version.starts_at is not None and answer.at < version.starts_at:
        yield f"Its window opens only at {exact(version.starts_at)}."
    elif version.ends_at is not None and answer.at >= version.ends_at:
        yield f"Its window closed at {exact(version.ends_at)}."
    else:
        yield f"It followed '{brief(version.trigger)}'."
        before = [s for s in answer.near if s.schedule == rule.name and s.last_slot < answer.at]
        if before:
            last = max(before, key=lambda s: s.last_slot)
            yield f"The slot before it was {exact(last.last_slot)} ({last.verdict})."
        after = next_slot(version, rule.name, answer.at)
        yield f"The slot after it: {exact(after)}." if after else "No slot comes after it."


def _run(run: RunDetail) -> Text:
    took = ""
    if run.started_at is not None:
        took = f" after {lasting((run.finished_at or run.now) - run.started_at)}"
    where = f" on '{run.node}'" if run.node else ""
    late = ""
    if run.started_at is not None and run.cause == "slot" and run.slot and run.attempt == 1:
        late = f", started {lasting(run.started_at - run.slot)} after its slot"
    if run.state == "queued" and not run.attempt:
        why = f"; {run.waits_for_key}" if run.waits_for_key else ""
        return Text.assemble(
            "It is ",
            word(run.state),
            styled(f", and starts {exact(run.run_at)} at the earliest{why}."),
        )
    if not run.attempt:
        return Text.assemble("It ended unbegun: ", word(run.state), ".")
    verb = "It " if run.state in FINAL else "It is "
    return Text.assemble(
        verb, word(run.state), styled(f"{took}{where}{late}, attempt {run.attempt}.")
    )


def _as_json(job: str, answer: Explanation) -> dict[str, Any]:
    return {
        "job": job,
        "at": answer.at,
        "kept_from": answer.kept_from,
        "slots": answer.slots,
        "schedules": [
            {"schedule": r.name, "rule": r, "due": answer.due[r.name]} for r in answer.rules
        ],
        "runs": [run.facts() for run in answer.runs.values()],
    }
