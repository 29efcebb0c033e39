import sereno_django
from bookshop.models import Order
from sereno_django.framework import OWN

if OWN:
    from django.tasks import task
else:
    from django_tasks import task


@task
def mail(order_id):
    Order.objects.filter(pk=order_id).update(mailed=True)
    return {"mailed": order_id}


@task
async def mail_async(order_id):
    order = await Order.objects.aget(pk=order_id)
    order.mailed = True
    await order.asave()
    return [order.customer]


@task(takes_context=True, priority=7)
def tell(context, *words, loud=False):
    run = sereno_django.current_run()
    run.progress(1, 2, "half")
    return {"attempt": context.attempt, "id": context.task_result.id, "words": words, "loud": loud}


@task(takes_context=True)
async def tell_async(context):
    return context.task_result.status


@task
def fail(kind):
    raise {"value": ValueError, "own": Refused}[kind](f"no {kind} 🧾")


class Refused(Exception):
    pass


@task
def unkept():
    return {1, 2}


def no_task():
    pass
