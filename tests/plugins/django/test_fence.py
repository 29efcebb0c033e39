"""What a job writes by the ORM is bound to its run."""

from typing import Any

import pytest
from bookshop.models import Order
from django.db import transaction

import sereno_django
from sereno import RunContext, job
from sereno.testing import Kernel
from sereno_django import with_connections

from .conftest import in_thread


@pytest.mark.parametrize("taken_over", [False, True])
async def test_a_run_that_was_taken_over_writes_nothing(project: str, taken_over: bool) -> None:
    @with_connections
    @job("shop.write")
    def write(run: RunContext) -> None:
        with transaction.atomic():
            Order.objects.create(customer="fenced")
            if taken_over:  # as by a node that has found this one absent
                run.token = type(run.token)(int=1)
            sereno_django.fence(run)

    async with Kernel(write, database=project) as kernel:
        await kernel.client.enqueue("shop.write")
        (ended,) = await kernel.drain()
        assert (ended.state == "succeeded") is not taken_over
    assert await in_thread(Order.objects.count) == (0 if taken_over else 1)


async def test_a_fence_outside_of_a_transaction_is_refused(project: str) -> None:
    @with_connections
    @job("shop.bare")
    def bare(run: RunContext) -> None:
        sereno_django.fence(run)

    async with Kernel(bare, database=project) as kernel:
        run = await kernel.client.enqueue("shop.bare")
        await kernel.drain()
        found: Any = await kernel.client.run(run)
        assert "transaction.atomic()" in found.error
