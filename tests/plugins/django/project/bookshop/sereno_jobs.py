from bookshop.models import Order
from sereno import RunContext, every, job
from sereno_django import command_job


@job("bookshop.count", schedule=every("1h"))
def count(run: RunContext) -> int:
    return Order.objects.count()


@job("bookshop.count_async")
async def count_async(run: RunContext) -> int:
    return await Order.objects.acount()


greet = command_job("bookshop.greet", "greet", "ana", options={"loud": True})
