"""Strikes fault after fault at a Dask cluster, and judges."""

import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from string import Template

from tests.servers.waiting import wait_until

from sereno.engine.clock import steady

from ..account import Books, Finding
from ..report import markdown, quantile, seconds
from . import account
from .faults import Fault, Struck, all_faults
from .stage import Stage, stage

SECTION = "## On a Dask cluster"

_LATEST = 15.0
"""Seconds that are given beyond a bound: a measured miss says more than a halt."""

_WAITED = """
    SELECT extract(epoch FROM coalesce(max(decided_at - slot), interval '0'))::float8
      FROM sereno.slot WHERE slot >= %s
"""
_KINDS = (
    "slot lost",
    "slot doubled",
    "run lost",
    "at work twice",
    "two leaders",
    "another's result",
    "begun twice",
)
_HEAD = ("fault", "tried", "p50", "max", "bound", "slot waited", *_KINDS)


@dataclass(slots=True)
class Trial:
    """One fault that was tried. `took`: seconds until its runs were another's, or another led."""

    name: str
    at: datetime
    bound: float | None
    took: float | None = None
    waited: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the whole showed. `wrong`: what is lost, doubled or not as it must be; `slow`: times out
    of bounds."""

    trials: list[Trial]
    books: Books
    wrong: list[str]
    slow: list[str]
    skipped: list[str]


def torment(
    *,
    seed: int,
    count: int,
    lease: float,
    freeze: float,
    cut: float,
    only: str = "",
    keep: Path | None = None,
) -> Verdict:
    """Try `count` faults and return the verdict. `only`: what the names of the faults must contain;
    `keep`: where logs go that tell of a fault."""
    dice = random.Random(seed)
    with stage(lease=lease, freeze=freeze, cut=cut) as scene:
        try:
            verdict = _played(scene, dice, count, only)
        except BaseException:
            _keep(scene, keep)
            raise
        if verdict.wrong or verdict.slow:
            _keep(scene, keep)
    return verdict


def _played(scene: Stage, dice: random.Random, count: int, only: str) -> Verdict:
    known = [fault for fault in all_faults(scene.lease) if only in fault.name]
    reasons = {fault.name: fault.needs(scene) for fault in known}
    skipped = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    possible = [fault for fault in known if reasons[fault.name] is None]
    scene.settle(120)
    since = scene.eye.now()
    rounds: list[Fault] = []
    while len(rounds) < count:
        rounds += dice.sample(possible, len(possible))
    trials = []
    for number, fault in enumerate(rounds[:count], 1):
        trial = _try(scene, fault, dice)
        trials.append(trial)
        took = "-" if trial.took is None else f"{trial.took:.3f} s"
        print(f"{number:4d} {fault.name}: {took} {'; '.join(trial.faults)}", file=sys.stderr)
    scene.settle()
    books = account.balance(scene, since)
    wrong = [f"{f.kind}: {f.detail}" for f in books.findings]
    slow = [f"{t.name}: {fault}" for t in trials for fault in t.faults]
    return Verdict(trials, books, wrong, slow, skipped)


def _try(scene: Stage, fault: Fault, dice: random.Random) -> Trial:
    scene.settle()
    scene.until(steady() + dice.uniform(0, 1))
    trial = Trial(fault.name, scene.eye.now(), fault.bound)
    striking = fault.strike(scene, dice)
    struck = next(striking)
    if struck.wrong is not None:
        trial.faults.append(struck.wrong)
    if fault.bound is not None:
        try:
            _measure(scene, struck, trial, fault.bound)
        except AssertionError as error:
            trial.faults.append(str(error))
    next(striking, None)
    scene.settle()
    trial.waited = max(0.0, scene.eye.value(_WAITED, [trial.at - timedelta(seconds=1)]))
    return trial


def _measure(scene: Stage, struck: Struck, trial: Trial, bound: float) -> None:
    if struck.leads is not None:
        term = struck.leads
        wait_until(lambda: scene.eye.term_after(term), "the next leader", bound + _LATEST)
        following = scene.eye.term_after(term)
        assert following is not None
        trial.took = max(0.0, (following[1] - struck.at).total_seconds())
    elif struck.runs:
        tokens = [token for _, token in struck.runs]
        left = "SELECT count(*) FROM sereno.run WHERE state = 'running' AND token = ANY(%s)"
        wait_until(
            lambda: scene.eye.value(left, [tokens]) == 0,
            f"runs {[run for run, _ in struck.runs]} to be another's",
            bound + _LATEST,
        )
        trial.took = (scene.eye.now() - struck.at).total_seconds()
    if trial.took is not None and trial.took > bound:
        trial.faults.append(f"{trial.took:.3f} s, more than {bound:g} s")


def _keep(scene: Stage, keep: Path | None) -> None:
    if keep is not None:
        shutil.rmtree(keep, ignore_errors=True)
        shutil.copytree(scene.place, keep)
        shutil.copy(scene.postgres.log, keep / "postgres.log")


def table(verdict: Verdict) -> str:
    """Return the table as Markdown."""
    found: dict[str, list[Finding]] = {trial.name: [] for trial in verdict.trials}
    for finding in verdict.books.findings:
        before = [t for t in verdict.trials if t.at <= finding.at] or verdict.trials[:1]
        found[before[-1].name].append(finding)
    rows = [
        _row(name, [t for t in verdict.trials if t.name == name], found[name]) for name in found
    ]
    sums = [str(sum(int(row[n]) for row in rows)) for n in range(6, len(_HEAD))]
    total = ["all", str(len(verdict.trials)), "", "", "", "", *sums]
    return markdown([list(_HEAD), *rows, total])


def _row(name: str, trials: Sequence[Trial], findings: Sequence[Finding]) -> list[str]:
    times = sorted(t.took for t in trials if t.took is not None)
    kinds = [f.kind for f in findings]
    bound = trials[0].bound
    return [
        name,
        str(len(trials)),
        *(seconds(quantile(times, q)) for q in (0.5, 1.0)),
        "-" if bound is None else f"{bound:g}",
        seconds(max(t.waited for t in trials)),
        *(str(kinds.count(kind)) for kind in _KINDS),
    ]


def section(verdict: Verdict, arguments: str, lease: float, took: float) -> str:
    """Return the page's section on Dask."""
    template = Template(Path(__file__).with_name("page.md").read_text())
    skipped = "Skipped: " + "; ".join(verdict.skipped) + "." if verdict.skipped else ""
    return template.substitute(
        arguments=arguments,
        lease=f"{lease:g}",
        table=table(verdict),
        slots=verdict.books.slots,
        runs=verdict.books.runs,
        attempts=verdict.books.attempts,
        minutes=round(took / 60),
        skipped=skipped,
    ).strip()


def told(
    *, seed: int, count: int, lease: float, freeze: float, cut: float, only: str, keep: Path | None
) -> tuple[Verdict, str]:
    """Try, and return the verdict and the page's section."""
    began = time.monotonic()
    verdict = torment(
        seed=seed, count=count, lease=lease, freeze=freeze, cut=cut, only=only, keep=keep
    )
    asked = f"--dask --seed {seed} --faults {count} --freeze {freeze:g} --cut {cut:g}"
    return verdict, section(verdict, asked, lease, time.monotonic() - began)
