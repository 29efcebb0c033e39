"""What a job declares secret ends with its run: after success, failure, cancellation and loss."""

import json
from typing import Annotated, Any

import msgspec
import pytest

from sereno import RunContext, Secret, job
from sereno.model.errors import ParamsError
from sereno.store import queue, runs
from sereno.store.catalogue import DeclaredJob
from sereno.store.pool import Database

from .node import Eye, running
from .scene import NODE, Scene, opened

HIDDEN = "hunter2hunter2"


class Inner(msgspec.Struct):
    key: Annotated[str, Secret]


class Params(msgspec.Struct):
    clave: Annotated[str, Secret]
    site: str = "madrid"
    other: Annotated[str, msgspec.Meta(max_length=20), Secret] | None = None
    deep: list[Inner] = []


class Result(msgspec.Struct):
    count: int
    session: Annotated[str, Secret]


SEEN: list[Any] = []


@job("t.secret", params=Params, retry={"attempts": 2, "delay": "10ms"})
async def secret(run: RunContext[Params]) -> Result:
    SEEN.append((run.attempt, run.params.clave))
    if run.params.site == "nowhere":
        raise ValueError("no such site")
    return Result(3, HIDDEN)


@job("t.after", after="t.secret")
async def after(run: RunContext[Any]) -> Any:
    return run.upstream


def given(**params: Any) -> str:
    return json.dumps({"clave": HIDDEN, "deep": [{"key": HIDDEN}], **params})


def test_a_field_is_secret_however_it_is_declared() -> None:
    assert secret.secrets == ("clave", "other", "deep")
    assert after.secrets == ()


@pytest.mark.parametrize(("site", "state"), [("rome", "succeeded"), ("nowhere", "failed")])
async def test_secret_params_end_with_the_run(
    database: str, eye: Eye, site: str, state: str
) -> None:
    SEEN.clear()
    async with running(database, secret, after):
        row = await eye.over(await eye.enqueue("t.secret", given(site=site)))
        if state == "succeeded":
            chained = await eye.until("SELECT id FROM sereno.run WHERE job = 't.after'")
            chained = await eye.over(chained)

    assert row["state"] == state
    assert json.loads(row["params"]) == {"clave": None, "deep": None, "site": site}
    assert [(n, HIDDEN) for n in range(1, 2 if state == "succeeded" else 3)] == SEEN
    if state == "succeeded":
        assert json.loads(row["result"]) == {"count": 3, "session": None}
        assert json.loads(chained["result"]) == {"t.secret": {"count": 3, "session": None}}
    everything = await eye.rows("SELECT run::text FROM sereno.run UNION ALL SELECT a::text FROM"
                                " sereno.attempt a")  # fmt: skip
    assert HIDDEN not in str(everything)


async def _declared(scene: Scene) -> int:
    await scene.declare(DeclaredJob(job=secret, plugin="tests"))
    return await scene.enqueue("t.secret", clave=HIDDEN)


async def _params(scene: Scene, run: int) -> Any:
    return json.loads(await scene.value("SELECT params::text FROM sereno.run WHERE id = $1", run))


async def test_a_queued_run_that_is_cancelled_keeps_no_secret(database: str) -> None:
    async with opened(database) as scene:
        run = await _declared(scene)
        await runs.request_cancel(scene.db, run, "ana")

        assert await _params(scene, run) == {"clave": None}


@pytest.mark.parametrize("again", [False, True])
async def test_a_lost_run_keeps_no_secret_and_one_that_is_tried_again_does(
    database: str, again: bool
) -> None:
    async with opened(database) as scene:
        run = await _declared(scene)
        (claim,) = await runs.claim(scene.db, scene.term, NODE, [run])
        lost = (run, claim.attempt, claim.token, again)
        await runs.lose(scene.db, scene.term, NODE, [lost], "gone")

        assert await _params(scene, run) == {"clave": HIDDEN if again else None}


async def test_a_repetition_asks_for_them_anew(database: str) -> None:
    async with opened(database) as scene:
        run = await _declared(scene)
        await runs.request_cancel(scene.db, run, "ana")
        db: Database = scene.db

        with pytest.raises(ParamsError, match=r"clave, which is secret.* -p clave=\.\.\."):
            await queue.repeat(db, run, requested_by="ana")
        with pytest.raises(ParamsError, match="param 'site' is kept"):
            await queue.repeat(db, run, requested_by="ana", params={"clave": "x", "site": "y"})
        again = await queue.repeat(db, run, requested_by="ana", params={"clave": "new"})
        assert again is not None
        assert await _params(scene, again) == {"clave": "new"}
        assert await _params(scene, run) == {"clave": None}
