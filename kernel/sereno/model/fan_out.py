"""A fan-out: a run of a job for each of many params, and one run more once all are over."""

from typing import Any, Literal

import msgspec

OnFailure = Literal["fail", "continue"]
ON_FAILURE: tuple[OnFailure, ...] = ("fail", "continue")

FAN_OUT = "fan-out"
"""Under what a join finds its fan-out in `upstream`: no job has such a name."""

MOST_CHILDREN = 100_000
"""Children of one fan-out."""


class FanOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has fanned out to. `new`: now, and not by an attempt before."""

    id: int
    total: int
    new: bool


class FanIn(msgspec.Struct, frozen=True, kw_only=True):
    """What a join knows of the runs that it was queued after. `run_id`: the run that fanned out.
    `failed`: how many did not succeed, whatever they did; `failed_runs`: the first 100 of them."""

    id: int
    run_id: int
    job: str
    total: int
    succeeded: int
    failed: int
    failed_runs: list[int]
    on_failure: OnFailure

    @property
    def refusal(self) -> str | None:
        """Return why the join is not to run, None when it is."""
        if not self.failed or self.on_failure != "fail":
            return None
        named = ", ".join(map(str, self.failed_runs[:10]))
        more = ", ..." if self.failed > min(len(self.failed_runs), 10) else ""
        return (
            f"{self.failed:,} of the {self.total:,} runs of job '{self.job}' that it waited for "
            f"did not succeed (run {named}{more}); with on_failure='continue' it runs all the "
            f"same, and `sereno retry {self.run_id} --chain` tries those again"
        )


def fan_in(upstream: Any) -> FanIn | None:
    """Return the fan-out that `upstream` tells of, None where it does not."""
    found = upstream.get(FAN_OUT) if upstream else None
    return None if found is None else msgspec.convert(found, FanIn)
