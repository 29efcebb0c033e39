"""Carries out one rule for log files: find, judge, check the ceilings, archive, delete.

A file's fault is its own: the next file has its turn, and the next rule; what went wrong is told at
the end. Only what stops the run itself (a cancellation, its time limit) stops the sweep.
"""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sereno import RunContext
from sereno_cleanup.archives import manifest
from sereno_cleanup.archives.apart import kept_apart
from sereno_cleanup.archives.known import KnownArchives
from sereno_cleanup.fault import STOPPED, sentence
from sereno_cleanup.logfiles.archive import Archive
from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.opened import opened_files
from sereno_cleanup.logfiles.plan import Ceilings, Judged, Plan, make_plan
from sereno_cleanup.logfiles.removal import remove
from sereno_cleanup.logfiles.root import Root, open_root
from sereno_cleanup.logfiles.scan import matches, scan
from sereno_cleanup.names import readable
from sereno_cleanup.settings import LogRule, Settings

SHOWN = 200


class Swept(msgspec.Struct):
    """What became of one rule's files; `failure` is a sentence when a person has to look."""

    path: str
    matched: int = 0
    deleted: int = 0
    archived: int = 0
    bytes: int = 0
    kept: dict[str, int] = {}
    planned: list[dict[str, Any]] = []
    note: str | None = None
    failure: str | None = None


class Sweep(msgspec.Struct, frozen=True):
    """One run's sweep. `confirmed`: a person has allowed what breaks the ceilings. `known`: the
    archives that this machine had before."""

    run: RunContext[Any]
    settings: Settings
    dry: bool
    confirmed: bool
    known: KnownArchives

    def rule(self, rule: LogRule) -> Swept:
        """Carry out `rule`; what goes wrong is told in the result: the next rule has its turn."""
        swept = Swept(path=rule.path)
        try:
            with open_root(self.settings.root_of(rule)) as root:
                unreadable: list[tuple[str, ...]] = []
                plan = self._plan(rule, root, unreadable)
                swept.matched, swept.kept = len(plan.judged), plan.kept
                self._apply(rule, root, plan, swept)
                self._record_unreadable(rule, unreadable, swept)
        except FileNotFoundError:
            swept.note = f"the directory {self.settings.root_of(rule)} does not exist"
        except STOPPED:
            raise
        except Exception as error:  # whatever is the matter with this rule, the next has its turn
            swept.failure = f"{rule.path}: {sentence(error)}"
        return swept

    def _pattern(self, rule: LogRule) -> tuple[str, ...]:
        return PurePosixPath(rule.path).relative_to(self.settings.root_of(rule)).parts

    def _plan(self, rule: LogRule, root: Root, unreadable: list[tuple[str, ...]]) -> Plan:
        zone = ZoneInfo(self.settings.logs_zone)
        return make_plan(
            scan(root, self._pattern(rule), kept_apart(self.settings), self.run.check, unreadable),
            keep_days=rule.days,
            min_keep=rule.min_keep,
            min_age=rule.min_age,
            now=self.run.now(),
            zone=zone,
            opened=opened_files(),
            of_another=self._of_another(rule, root),
        )

    def _of_another(self, rule: LogRule, root: Root) -> Callable[[LogFile], bool]:
        """Tell which files another rule decides: the most patient of those that match one; of
        equals, one that archives it, then the first."""
        rules = self.settings.logs

        def weight(n: int) -> tuple[int, bool, int]:
            return rules[n].days, rules[n].archive is not None, -n

        mine = next(n for n, one in enumerate(rules) if one is rule)
        others = [
            (
                *PurePosixPath(os.path.realpath(self.settings.root_of(one))).parts,
                *self._pattern(one),
            )
            for n, one in enumerate(rules)
            if weight(n) > weight(mine)
        ]
        start = PurePosixPath(root.path).parts
        return lambda entry: any(matches((*start, *entry.parts), other) for other in others)

    def _record_unreadable(
        self, rule: LogRule, unreadable: list[tuple[str, ...]], swept: Swept
    ) -> None:
        """Say which directories could not be read: what is in them grows for ever, unseen."""
        if not unreadable:
            return
        first = readable("/".join(unreadable[0])) or self.settings.root_of(rule)
        told = f"{len(unreadable)} directories cannot be read, first {first}"
        self.run.log.warning(
            "directories cannot be read", extra={"rule": rule.path, "first": first}
        )
        swept.kept = swept.kept | {"unreadable_directory": len(unreadable)}
        if any(len(at) <= _fixed(self._pattern(rule)) for at in unreadable):
            swept.failure = swept.failure or f"{rule.path}: {told}"
        else:
            swept.note = f"{swept.note}; {told}" if swept.note else told

    def _apply(self, rule: LogRule, root: Root, plan: Plan, swept: Swept) -> None:
        excess = plan.excess(self._ceilings())
        if self.dry or rule.dry_run:
            swept.planned = [_shown(one) for one in plan.expired[:SHOWN]]
            swept.note = f"dry run: {len(plan.expired)} files would be deleted"
            if excess:
                swept.note += f", after a person's word (confirm=true), since {excess}"
            return
        if excess and not self.confirmed:
            swept.failure = (
                f"{rule.path}: nothing was deleted, since {excess}; look at the plan with "
                "-p dry_run=true, then allow it once with -p confirm=true"
            )
            return
        self._delete(rule, root, plan, swept)

    def _delete(self, rule: LogRule, root: Root, plan: Plan, swept: Swept) -> None:
        archive = self._archive(rule, root)
        errors = []
        planned = {one.entry: one for one in plan.expired}
        turns = count(1)

        def report() -> None:
            self.run.progress(next(turns), len(planned), note=rule.path)

        for entry, became in remove(root, planned, archive, report):
            if isinstance(became, Exception):
                errors.append(f"{entry.path}: {sentence(became)}")
                continue
            if not became:
                swept.kept["changed"] = swept.kept.get("changed", 0) + 1
                continue
            swept.deleted += 1
            swept.archived += archive is not None
            swept.bytes += entry.disk_bytes
            self.run.log.info(
                "log file deleted", extra=_shown(planned[entry]) | {"root": root.path}
            )
        if errors:
            swept.failure = f"{rule.path}: {len(errors)} files were not deleted, first {errors[0]}"

    def _archive(self, rule: LogRule, root: Root) -> Archive | None:
        if rule.archive is None:
            return None
        directory = Path(rule.archive)
        self.known.check(directory)  # before it is made: where its disk is not mounted, it is not
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        identity = manifest.identity(directory)
        return Archive(directory, root.path, self.run.now, self.run.check, identity=identity)

    def _ceilings(self) -> Ceilings:
        settings = self.settings
        return Ceilings(settings.logs_max_files, settings.logs_max_bytes, settings.logs_max_ratio)


def _fixed(pattern: tuple[str, ...]) -> int:
    """Return how many directories a glob names before it begins to search."""
    names = pattern[:-1]
    return next((n for n, part in enumerate(names) if set(part) & set("*?[")), len(names))


def _shown(one: Judged) -> dict[str, Any]:
    return {"file": one.entry.path, "day": one.day.isoformat(), "size_bytes": one.entry.size}
