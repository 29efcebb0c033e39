"""What runs of the simulated year say, return and raise, and what must become of it by the world's
own reckoning: lines that are kept or not, silence that is told, results, other attempts."""

import logging
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from sereno import RunCancelled
from sereno.engine.runlog import RunLogHandler, current_run
from sereno.model.duration import parse_duration
from sereno.model.job import Job
from sereno.model.ledger import Claim
from sereno.model.run import SNOOZED, Outcome
from sereno.model.snooze import Snooze

from .simulated_hands import Hands

LEVELS = ("debug", "info", "warning", "error", "critical")
_LOGGER = "sereno.job.said"
_PUT_OFF = timedelta(minutes=1)
_PUT_OFF_AT_MOST = timedelta(days=30)

_AT_WORK_AND_STALLED = """
SELECT s.token FROM sereno.stall s
  JOIN sereno.run r ON r.id = s.run_id AND r.token = s.token AND r.state = 'running'
"""
_LINES = """
SELECT run_id, attempt, array_agg(message ORDER BY line) AS said FROM sereno.run_log
 WHERE run_id = ANY ($1::bigint[]) AND logger = $2 GROUP BY 1, 2
"""


@dataclass
class Speaker:
    """An attempt at work. `level`: the lowest that is kept, as a place in `LEVELS`; `limit`: how
    long it may be silent; `heard`: when it was last heard; `spoke`: since that; `kept`: its lines,
    as they must be found."""

    claim: Claim
    level: int
    limit: timedelta | None
    heard: datetime
    spoke: bool = False
    stalled: bool = False
    kept: list[str] = field(default_factory=list)


class Words:
    """What those who are at work have said, as far as the world knows."""

    def __init__(self, eye: asyncpg.Connection, jobs: dict[str, Job]) -> None:
        self._eye = eye
        self._jobs = jobs
        self._own: dict[str, dict[str, Any]] = {}
        self._speakers: dict[UUID, Speaker] = {}
        self._snoozes: Counter[int] = Counter()
        self._handler = RunLogHandler()
        self._number = 0
        self.counts: Counter[str] = Counter()

    def _policy(self, claim: Claim, name: str) -> Any:
        """Return a policy as the schedule's version said it, or else the job."""
        if claim.job not in self._own:
            self._own[claim.job] = self._jobs[claim.job].policies.to_json()
        return claim.policies.get(name, self._own[claim.job][name])

    # --- what they say ------------------------------------------------------------------------

    def speak(self, hands: Hands, chance: random.Random, now: datetime) -> None:
        """Let some of those at work there log a line or tell how far they are."""
        for token in hands.claims:
            if token in hands.refusals:
                continue
            speaker = self._speaker(hands, token, now)
            if chance.random() < 0.3:
                self._say(hands, speaker, chance)

    def _speaker(self, hands: Hands, token: UUID, now: datetime) -> Speaker:
        if token not in self._speakers:
            claim, attempt = hands.claims[token], hands.attempt(token)
            level, limit = self._policy(claim, "log_level"), self._policy(claim, "stalled_after")
            self._speakers[token] = Speaker(
                claim,
                0 if level is None else LEVELS.index(level),
                None if limit is None else _duration(limit),
                min(now, attempt.began or now),
            )
        return self._speakers[token]

    def _say(self, hands: Hands, speaker: Speaker, chance: random.Random) -> None:
        scope = hands.attempt(speaker.claim.token).scope
        if chance.random() < 0.2:
            if hands.stopped(speaker.claim.token):  # is told so, and has said nothing
                with pytest.raises(RunCancelled):
                    hands.attempt(speaker.claim.token).context.progress(1, 2)
                return
            speaker.spoke = True
            hands.attempt(speaker.claim.token).context.progress(1, 2)
            return
        speaker.spoke = True
        level = chance.randrange(len(LEVELS))
        self._number += 1
        text = f"{LEVELS[level]} {self._number}"
        number = logging.getLevelNamesMapping()[LEVELS[level].upper()]
        record = logging.getLogger(_LOGGER).makeRecord(_LOGGER, number, "", 0, text, (), None)
        held = current_run.set(scope)
        self._handler.emit(record)
        current_run.reset(held)
        if level >= speaker.level:
            speaker.kept.append(text)
        self.counts["line kept" if level >= speaker.level else "line left out"] += 1

    async def listen(self, hands: Hands, now: datetime) -> None:
        """Have a node write what was said; it tells of those alone that have been silent for too
        long, or are heard again, and of each once."""
        want = []
        for token in hands.claims:
            if token in hands.refusals:
                continue
            speaker = self._speaker(hands, token, now)
            if speaker.spoke:
                if speaker.stalled:
                    want.append((speaker.claim.run_id, speaker.claim.attempt, True))
                speaker.spoke, speaker.stalled, speaker.heard = False, False, now
            elif speaker.limit is not None and not speaker.stalled and not hands.stopped(token):
                speaker.stalled = now - speaker.heard >= speaker.limit
                if speaker.stalled:
                    want.append((speaker.claim.run_id, speaker.claim.attempt, False))
        await hands.write_words()
        told = [(one.run_id, one.attempt, one.resolved) for one in hands.told]
        assert sorted(told) == sorted(want)
        self.counts["stalled"] += sum(not over for _, _, over in told)
        self.counts["heard again"] += sum(over for _, _, over in told)
        hands.told.clear()

    # --- how they end -------------------------------------------------------------------------

    def end(self, hands: Hands, token: UUID, chance: random.Random, now: datetime) -> Outcome:
        """End an attempt at random; it must end as the world reckons."""
        claim = hands.claims[token]
        could, stopped = token not in hands.refusals, hands.stopped(token)
        if could:
            self._speaker(hands, token, now)
        result = {"n": claim.run_id} if claim.run_id % 5 else {}
        became = chance.choice(
            [result, result, result, OSError("cut"), ValueError("odd"), Snooze(_PUT_OFF, "later")]
        )
        outcome = hands.end(token, became)
        if not could:
            want: tuple[str, str | None] = ("failed", None)
        elif stopped:
            want = ("cancelled", None)
        elif isinstance(became, Snooze):
            since = claim.snoozed_since or outcome.started_at
            assert since is not None
            too_long = now + _PUT_OFF > since + _PUT_OFF_AT_MOST  # it may have worked for months
            want = ("failed", None) if too_long else ("queued", SNOOZED)
        elif isinstance(became, Exception):
            again = self._again(claim, type(became).__name__)
            want = ("queued", "failed") if again else ("failed", None)
        else:
            want = ("succeeded", None)
        assert (outcome.state, outcome.became) == want, (claim, became, outcome)
        if outcome.state == "queued":
            assert outcome.retry_at is not None
            assert outcome.retry_at > now
        kept = want[0] == "succeeded" and self._policy(claim, "keep_result")
        assert (outcome.result is not None) == kept, (claim, outcome)
        self.counts["no result"] += want[0] == "succeeded" and not kept
        return outcome

    def _again(self, claim: Claim, error: str) -> bool:
        """Reckon whether another attempt follows one that failed; what it has put off is none."""
        rule = self._policy(claim, "retry")
        rule = {"attempts": rule} if isinstance(rule, int) else rule
        names = {"on": rule.get("on"), "final": rule.get("final")}
        of = {k: None if v is None else {n.rpartition(".")[2] for n in v} for k, v in names.items()}
        if (of["final"] and error in of["final"]) or (of["on"] and error not in of["on"]):
            return False
        return claim.attempt - self._snoozes[claim.run_id] < rule.get("attempts", 1)

    async def ended(self, outcomes: list[Outcome], ours: set[UUID]) -> None:
        """Require that all is kept that attempts have said whose ends were written, and no more."""
        over = [self._speakers.pop(o.token) for o in outcomes if o.token in self._speakers]
        for outcome in outcomes:
            if outcome.token in ours and outcome.became == SNOOZED:
                self._snoozes[outcome.run_id] += 1
        saying = [s for s in over if s.claim.token in ours and s.kept]
        if not saying:
            return
        rows = await self._eye.fetch(_LINES, [s.claim.run_id for s in saying], _LOGGER)
        found = {(r["run_id"], r["attempt"]): r["said"] for r in rows}
        for speaker in saying:
            key = (speaker.claim.run_id, speaker.claim.attempt)
            assert found.get(key) == speaker.kept, (speaker, found.get(key))

    async def check(self) -> None:
        """Require that the database tells of those that have stalled, of the others none."""
        rows = await self._eye.fetch(_AT_WORK_AND_STALLED)
        told = {r["token"] for r in rows}
        stalled = [s.claim.token for s in self._speakers.values() if s.stalled]
        rows = await self._eye.fetch(
            "SELECT token FROM sereno.run WHERE state = 'running' AND token = ANY ($1::uuid[])",
            stalled,
        )
        assert told == {r["token"] for r in rows}


def _duration(value: Any) -> timedelta:
    """Return a duration as a schedule's or a job's policies hold it, in JSON."""
    if isinstance(value, str) and value.startswith("P"):
        return msgspec.convert(value, timedelta)
    return parse_duration(value)
