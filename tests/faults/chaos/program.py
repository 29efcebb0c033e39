"""Strikes fault after fault, measures each failover, and judges."""

import argparse
import os
import platform
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from string import Template

from tests.servers.postgres import installed_programs
from tests.servers.waiting import wait_until

from sereno.engine.clock import steady

from . import account
from .account import Books
from .faults import PROMOTION, Fault, all_faults
from .on_dask import program as dask
from .report import Row, Trial, fault_before, promotion_table, rows_of, table
from .stage import Promotion, Stage, stage
from .trust import Overlap, overlaps, trust_spans

SECTION = "## A standby is promoted that lags behind"

_LATEST = 15.0
"""Seconds that are given to a failover beyond its bound: a measured miss says more than a halt."""

_QUIET = 2.5
"""Seconds for which a fault that must not change the leader is watched."""

_WAITED = """
    SELECT extract(epoch FROM coalesce(max(decided_at - slot), interval '0'))::float8
      FROM sereno.slot WHERE slot >= %s
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the whole run showed. `wrong`: what is lost, doubled or not as it must be; `slow`: times
    out of bounds; `unaware`: deposed leaders whose session the server had ended, and who had not
    heard of it when the next one led."""

    rows: list[Row]
    books: Books
    unaware: list[Overlap]
    promotions: list[Promotion]
    wrong: list[str]
    slow: list[str]
    skipped: list[str]


def chosen(
    faults: Sequence[Fault], count: int, dice: random.Random, promotions: int | None = None
) -> list[Fault]:
    """Return so many faults in random order, each kind as often as any other.

    `promotions`: how often a standby is promoted, in any order among `count` others.
    """
    kinds = [f for f in faults if promotions is None or f.name != PROMOTION]
    rounds: list[Fault] = []
    while len(rounds) < count:
        rounds += dice.sample(kinds, len(kinds))
    del rounds[count:]
    for fault in [f for f in faults if f.name == PROMOTION] * (promotions or 0):
        rounds.insert(dice.randint(0, len(rounds)), fault)
    return rounds


def torment(
    *,
    seed: int,
    count: int,
    lease: float,
    freeze: float,
    cut: float,
    promotions: int | None = None,
    only: str = "",
    keep: Path | None = None,
) -> Verdict:
    """Try `count` faults and return the verdict.

    `promotions`: as of `chosen`. `only`: what the names of the faults must contain. `keep`: where
    logs go that tell of a fault.
    """
    dice = random.Random(seed)
    with stage(lease=lease, freeze=freeze, cut=cut) as scene:
        try:
            verdict = _played(scene, dice, count, promotions, only)
        except BaseException:
            _keep(scene, keep)
            raise
        if verdict.wrong or verdict.slow:
            _keep(scene, keep)
    return verdict


_SHORTEST = 3.0
"""Seconds that an account covers at least: every job has run in them."""


def _played(
    scene: Stage, dice: random.Random, count: int, promotions: int | None, only: str
) -> Verdict:
    known = [fault for fault in all_faults(scene.lease) if only in fault.name]
    reasons = {fault.name: fault.needs(scene) for fault in known}
    skipped = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    for line in skipped:
        _say(f"skipped: {line}")
    possible = [fault for fault in known if reasons[fault.name] is None]
    scene.settle()
    since, begun = scene.eye.now(), steady()
    trials = []
    for number, fault in enumerate(chosen(possible, count, dice, promotions), 1):
        trial = _try(scene, fault, dice)
        trials.append(trial)
        took = "no new leader" if trial.failover is None else f"{trial.failover:.3f} s"
        _say(f"{number:4d} {fault.name} ({trial.replica}): {took} {'; '.join(trial.faults)}")
    scene.until(begun + _SHORTEST)
    scene.settle()
    harms = [h for r in scene.replicas for h in r.harms]
    books = account.balance(scene.eye, scene.dsn, scene.file, since, harms, scene.promotions)
    for replica in scene.replicas:
        replica.stop()
    codes = {label: c for r in scene.replicas for label, c in r.codes.items() if c not in (0, -9)}
    deaths = {label: at for r in scene.replicas for label, at in r.deaths.items()}
    trusted = overlaps(trust_spans(scene.place, deaths))
    ended = {fault.name for fault in known if fault.ends_sessions}
    unaware = [o for o in trusted if fault_before(trials, o) in ended]
    both = [o for o in trusted if o not in unaware]
    wrong = [f"{f.kind}: {f.detail}" for f in books.findings]
    wrong += [f"two leaders for {o.seconds:.4f} s: {o.one}, {o.other}" for o in both]
    wrong += [f"replica {label} ended with code {code}" for label, code in codes.items()]
    if books.forgotten.told != len(scene.promotions):
        wrong.append(
            f"verify tells of {books.forgotten.told} of {len(scene.promotions)} promotions"
        )
    slow = [f"{t.name}: {fault}" for t in trials for fault in t.faults]
    rows = rows_of(trials, books.findings, both)
    order = [fault.name for fault in known]
    rows.sort(key=lambda row: order.index(row.name))
    return Verdict(rows, books, unaware, scene.promotions, wrong, slow, skipped)


def _try(scene: Stage, fault: Fault, dice: random.Random) -> Trial:
    scene.settle()
    scene.until(steady() + dice.uniform(0, 1))
    leader, term = scene.leader()
    trial = Trial(fault.name, leader.label, scene.eye.now(), steady(), fault.bound)
    striking = fault.strike(scene, leader, dice)
    struck = next(striking)
    limit = fault.bound + _LATEST if struck.change == "must" and fault.bound else _QUIET
    try:
        wait_until(lambda: scene.eye.term_after(term), "the next leader", limit)
    except AssertionError:
        if struck.change == "must":
            trial.faults.append(f"nobody led within {limit:g} s")
    following = scene.eye.term_after(term)
    if following is not None:
        trial.failover = max(0.0, (following[1] - struck.at).total_seconds())
        if struck.change == "must not":
            trial.faults.append("the leader changed")
        elif fault.bound is not None and trial.failover > fault.bound:
            trial.faults.append(f"{trial.failover:.3f} s, more than {fault.bound:g} s")
    next(striking, None)
    scene.settle()
    trial.waited = max(0.0, scene.eye.value(_WAITED, [trial.at - timedelta(seconds=1)]))
    return trial


def _keep(scene: Stage, keep: Path | None) -> None:
    if keep is not None:
        shutil.rmtree(keep, ignore_errors=True)
        shutil.copytree(scene.place, keep)
        for number, server in enumerate((scene.postgres, scene.standby)):
            if server.log.exists():
                shutil.copy(server.log, keep / f"postgres-{number}.log")
        _say(f"logs are kept in {keep}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def page(verdict: Verdict, arguments: str, lease: float, seconds: float, postgres: int) -> str:
    """Return docs/failover.md."""
    versions = (
        f"Sereno {version('sereno')}, PostgreSQL {postgres}, asyncpg {version('asyncpg')}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} cores shared by all replicas, PostgreSQL, the program and other work."
    )
    skipped = "Skipped: " + "; ".join(verdict.skipped) + "." if verdict.skipped else ""
    template = Template(Path(__file__).with_name("page.md").read_text())
    return template.substitute(
        arguments=arguments,
        lease=f"{lease:g}",
        table=table(verdict.rows),
        promotions=promoted(verdict, arguments),
        slots=verdict.books.slots,
        runs=verdict.books.runs,
        attempts=verdict.books.attempts,
        minutes=round(seconds / 60),
        unaware=_unaware(verdict.unaware),
        skipped=skipped,
        versions=versions,
    )


def _unaware(found: Sequence[Overlap]) -> str:
    if not found:
        return "In this run each had heard."
    longest = max(o.seconds for o in found)
    return f"In this run {len(found)} had not heard yet, for {longest:.3f} s at the longest."


def promoted(verdict: Verdict, arguments: str) -> str:
    """Return the page's section on promotions; nothing when there were none."""
    row = next((r for r in verdict.rows if r.name == PROMOTION), None)
    if row is None:
        return ""
    template = Template(Path(__file__).with_name("promotions.md").read_text())
    told = promotion_table(row, verdict.rows, verdict.promotions, verdict.books)
    return template.substitute(arguments=arguments, table=told).strip()


def _write(page: Path, whole: str, section: str, *, only_promotions: bool) -> None:
    """Write the page but for what it says of Dask, or put its section on promotions in the place of
    the one it has."""
    known = page.read_text() if page.exists() else ""
    if only_promotions:
        page.write_text(with_section(known, SECTION, section))
        return
    _, found, rest = known.partition(f"{dask.SECTION}\n")
    own = f"{found}{rest.partition(_NEXT)[0]}".strip()
    page.write_text(with_section(whole, dask.SECTION, own) if own else whole)


_NEXT = "\n## "


def with_section(page: str, heading: str, section: str) -> str:
    """Return the page with `section` in the place of the one of that heading, or before the last
    one."""
    before, found, rest = page.partition(heading)
    if found:
        after = rest.partition(_NEXT)[2]
    elif _NEXT in page:
        before, _, after = page.rpartition(_NEXT)
    else:
        after = ""
    text = f"{before.rstrip()}\n\n{section}\n" + (f"{_NEXT}{after}" if after else "")
    return text.lstrip()


def _on_dask(given: argparse.Namespace) -> int:
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    _say(f"seed {seed}")
    verdict, section = dask.told(
        seed=seed,
        count=60 if given.faults is None else given.faults,
        lease=given.lease,
        freeze=given.freeze,
        cut=given.cut,
        only=given.only,
        keep=given.keep,
    )
    print(section)
    for line in [*verdict.wrong, *verdict.slow]:
        print(f"OUT OF BOUNDS: {line}")
    if given.write:
        known = given.write.read_text() if given.write.exists() else ""
        given.write.write_text(with_section(known, dask.SECTION, section))
    return 1 if verdict.wrong or verdict.slow else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when nothing is lost, doubled or out of bounds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the order of the faults")
    parser.add_argument(
        "--faults", type=int, default=None, help="how many to try [200, or 0 with --promotions]"
    )
    parser.add_argument(
        "--promotions", type=int, default=None, help="how many standbys to promote besides"
    )
    parser.add_argument("--lease", type=float, default=3.0, help="seconds")
    parser.add_argument("--freeze", type=float, default=20.0, help="seconds of each SIGSTOP")
    parser.add_argument("--cut", type=float, default=8.0, help="seconds beyond the lease, at most")
    parser.add_argument("--only", default="", help="what the names of the faults must contain")
    parser.add_argument("--write", type=Path, help="a file for the table, as docs/failover.md")
    parser.add_argument("--keep", type=Path, help="a directory for logs when something is wrong")
    parser.add_argument(
        "--dask", action="store_true", help="break a Dask cluster and what it works for [60 faults]"
    )
    given = parser.parse_args(arguments)
    if given.dask:
        return _on_dask(given)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    count = given.faults if given.faults is not None else 200 if given.promotions is None else 0
    _say(f"seed {seed}")
    began = time.monotonic()
    verdict = torment(
        seed=seed,
        count=count,
        lease=given.lease,
        freeze=given.freeze,
        cut=given.cut,
        promotions=given.promotions,
        only=given.only,
        keep=given.keep,
    )
    books = verdict.books
    asked = f"--seed {seed} --faults {count}"
    if given.promotions is not None:
        asked += f" --promotions {given.promotions}"
    print(table(verdict.rows))
    print(promoted(verdict, asked))
    print(f"{books.slots} slots, {books.runs} runs, {books.attempts} attempts; seed {seed}")
    print(f"deposed leaders: {_unaware(verdict.unaware)}")
    for line in [*verdict.wrong, *verdict.slow]:
        print(f"OUT OF BOUNDS: {line}")
    if given.write:
        text = page(
            verdict,
            asked,
            given.lease,
            time.monotonic() - began,
            next(iter(installed_programs())),
        )
        section = promoted(verdict, asked)
        _write(given.write, text, section, only_promotions=count == 0)
    return 1 if verdict.wrong or verdict.slow else 0
