"""A database whose encoding has not every letter: nobody's lead, result or word is lost by it."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from sereno import Client, ParamsError, RunContext, every, job
from sereno.store.encoding import Encoding
from sereno.store.migrator import migrate

from ..servers.postgres import PostgresServer
from .cli_scene import Scene
from .node import looking, running

Run = RunContext[dict[str, Any]]

ODD = "→ 3 € ñ 😀"


@pytest.fixture(params=["LATIN1", "SQL_ASCII", "WIN1252", "LATIN9", "EUC_JP"])
def narrow(
    postgres_server: PostgresServer, request: pytest.FixtureRequest
) -> Iterator[tuple[str, Encoding]]:
    """Give the DSN of a database in another encoding than UTF8, and that encoding."""
    name = f"narrow_{request.param.lower()}"
    provider = "LOCALE_PROVIDER libc" if postgres_server.version >= 15 else ""
    postgres_server.execute(
        f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0"
        f" LC_COLLATE 'C' LC_CTYPE 'C' {provider}"
    )
    try:
        yield postgres_server.dsn(name), Encoding(request.param)
    finally:
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@job("t.odd", schedule=every("1h"), description=f"An odd one: {ODD}")
async def odd(run: Run) -> Any:
    run.log.warning(ODD)
    run.progress(1, 2, ODD)
    run.checkpoint({ODD: ODD})
    if run.params.get("fails"):
        raise ValueError(ODD)
    return {ODD: [ODD, "\u20ac"]}


@job("t.after", after="t.odd")
async def after(run: Run) -> Any:
    return run.upstream


async def test_jobs_run_and_their_words_are_kept(
    narrow: tuple[str, Encoding], caplog: pytest.LogCaptureFixture
) -> None:
    dsn, encoding = narrow
    kept, euro = encoding.fitted(ODD), encoding.fitted("\u20ac")
    await migrate(dsn)
    async with looking(dsn) as eye:
        with caplog.at_level(logging.WARNING):
            async with running(dsn, odd, after):
                done = await eye.ran("t.odd")
                bad = await eye.over(await eye.enqueue("t.odd", '{"fails": true}'))
                chained = await eye.until("SELECT id FROM sereno.run WHERE job = 't.after'")
                chained = await eye.over(chained)
        lines = await eye.rows("SELECT DISTINCT message FROM sereno.run_log WHERE message ~ '3'")
        notes = await eye.rows("SELECT DISTINCT note FROM sereno.run_progress")
        description = await eye.value("SELECT description FROM sereno.job WHERE name = 't.odd'")

    assert (done["state"], bad["state"], chained["state"]) == ("succeeded", "failed", "succeeded")
    assert json.loads(done["result"]) == {kept: [kept, euro]}
    assert json.loads(chained["result"]) == {"t.odd": {kept: [kept, euro]}}
    assert bad["error"] == f"ValueError: {kept}"
    assert lines == [(kept,)]
    assert notes == [(kept,)]
    assert description == f"An odd one: {kept}"
    assert len([r for r in caplog.records if "encoding has not every" in r.getMessage()]) == 1


async def test_params_that_it_cannot_keep_are_refused_with_a_sentence(
    narrow: tuple[str, Encoding],
) -> None:
    dsn, encoding = narrow
    await migrate(dsn)
    async with running(dsn, odd), looking(dsn) as eye, Client.open(dsn) as client:
        await eye.known("t.odd")
        if encoding.fitted(ODD) == ODD:
            run = await client.enqueue("t.odd", {"x": ODD})
            assert (await client.run(run)).params == {"x": ODD}
        else:
            with pytest.raises(ParamsError, match="the database cannot keep") as refused:
                await client.enqueue("t.odd", {"x": ODD})
            assert "\n" not in str(refused.value)


def test_the_cluster_command_tells_of_it(narrow: tuple[str, Encoding]) -> None:
    dsn, encoding = narrow
    asyncio.run(migrate(dsn))

    assert f"encoding is {encoding.name}" in Scene(dsn).call("cluster").stderr


def test_what_an_encoding_lacks_is_written_out() -> None:
    latin = Encoding("LATIN1")

    assert latin.fitted(["ñ €", "→", None, 3, ["😀"]]) == [
        "ñ \\u20ac", "\\u2192", None, 3, ["\\U0001f600"]
    ]  # fmt: skip
    assert (
        latin.fitted_json('{"€":"ñ\\u20ac\\n"}'.encode())
        == '{"\\\\u20ac":"ñ\\\\u20ac\\n"}'.encode()
    )
    assert Encoding("UTF8").whole
    assert not latin.whole
    assert Encoding("JOHAB").fitted("ñ") == "\\xf1"
