"""Runs plain functions in threads."""

import asyncio
import contextvars
import threading
from typing import Any

from sereno.engine.context import RunContext
from sereno.engine.executors.executor import make_sure
from sereno.engine.forks import end_if_forked
from sereno.engine.result import encode_result
from sereno.model.executor import Executor
from sereno.model.job import Job
from sereno.model.policies import Policies


class InThread(Executor):
    """A thread for each attempt, at most `workers` of them.

    A thread cannot be ended from outside: on cancellation the run is told to stop (``run.check``
    and ``run.progress`` raise), and a function that never asks is left behind. Threads are daemons,
    so that one that hangs does not keep the process from ending.
    """

    def __init__(self, workers: int) -> None:
        self.capacity = workers

    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Run the function in a thread, in a copy of this context."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(result)
            elif isinstance(error, StopIteration):  # a future refuses it
                done.set_exception(RuntimeError(f"the job raised {error!r}"))
            else:
                done.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                make_sure(context)
                result = job.function(context)
                # Here, as a large one would hold the loop up; or not at all.
                result = encode_result(result) if policies.keep_result else None
            except BaseException as raised:
                error = raised
            end_if_forked(error)
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                return  # the loop has ended: nobody waits any more

        copy = contextvars.copy_context()
        threading.Thread(
            target=copy.run, args=(work,), name=f"{job.name} run {context.run_id}", daemon=True
        ).start()
        self.busy += 1
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            context.stop.set()
            return await asyncio.shield(done)
        finally:
            self.busy -= 1
