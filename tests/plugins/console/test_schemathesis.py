"""Whatever is asked of the API: it never fails, and every answer is what its document says."""

import asyncio
import os
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.generation import GenerationMode

from .conftest import Serve
from .shop import JOBS, at_work, done

EXAMPLES = int(os.environ.get("SERENO_SCHEMATHESIS_EXAMPLES", "2"))
"""Requests for each operation, of each kind; `make test` has time for a few, CI for more."""

KNOWN = {
    "run": 1,
    "bulk": 1,
    "backfill": 1,
    "blackout": 1,
    "calendar": "c",
    "job": "shop.orders",
    "schedule": "shop.orders",
    "replica": "none",
}

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_headers_conformance,
]


def explore(url: str, document: dict[str, Any]) -> int:
    """Ask each operation, by requests that fit and by such that do not; return how many."""
    asked = 0
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        operation = found.ok()
        if "stream" in operation.definition.raw["operationId"]:
            continue  # it ends after a minute
        variables = {p.name for p in operation.path_parameters}
        ways = [None, {name: KNOWN[name] for name in variables}] if variables else [None]
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for given in ways:
                strategy = operation.as_strategy(generation_mode=mode, path_parameters=given)

                @hypothesis.seed(7)
                @hypothesis.settings(
                    max_examples=EXAMPLES,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @hypothesis.given(case=strategy)
                def ask(case: Any) -> None:
                    nonlocal asked
                    asked += 1
                    answer = case.call(base_url=f"{url}/api/v1", timeout=40)
                    case.validate_response(answer, checks=CHECKS)

                try:
                    ask()
                except schemathesis.errors.InvalidSchema as error:
                    raise AssertionError(f"{operation.label}: {error}") from error
                except hypothesis.errors.Unsatisfiable:
                    assert mode is GenerationMode.NEGATIVE  # of what takes nothing
    return asked


# The node beside it draws its waits at random, which is taken for a strategy's doing.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.timeout(300)
async def test_the_api_never_fails_and_answers_as_its_document_says(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        await done(web, "shop.orders")
        wanted = {"action": "retry", "filter": {"job": "none.*"}, "reason": "one is there"}
        await web.post("/api/v1/bulks", json=wanted)
        document = (await web.get("/api/v1/openapi.json")).json()
        asked = await asyncio.to_thread(explore, str(web.base_url).rstrip("/"), document)
        assert asked > 45 * EXAMPLES
        assert (await web.get("/api/v1/jobs")).status_code == 200
