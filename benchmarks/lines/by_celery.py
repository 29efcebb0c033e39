"""The jobs by Celery 5 and its beat, with Redis, and results in PostgreSQL."""

# -- an hourly job: one at a time, 5 minutes at most, late rather than never
import redis
from celery import Celery, chain
from celery.schedules import crontab
from shop.work import download, expire, merged

app = Celery("shop", broker="redis://localhost:6379/0", backend="redis://localhost:6379/1")
locks = redis.Redis()


@app.task(name="shop.cleanup", soft_time_limit=300, time_limit=310)
def cleanup():
    lock = locks.lock("shop.cleanup", timeout=310, blocking=False)
    if not lock.acquire():
        return None
    try:
        return expire()
    finally:
        lock.release()


app.conf.beat_schedule = {
    "cleanup": {"task": "shop.cleanup", "schedule": crontab(minute=0)},
}


# -- a chain with its result, each step tried three times more a minute apart
RETRIES = {
    "autoretry_for": (Exception,),
    "max_retries": 3,
    "default_retry_delay": 60,
}


@app.task(name="shop.sync", **RETRIES)
def sync():
    return download()


@app.task(name="shop.merge", **RETRIES)
def merge(found):
    return merged(found["highest_id_after"])


@app.task(name="shop.sync_and_merge")
def sync_and_merge():
    lock = locks.lock("shop.sync", timeout=110, blocking=False)
    if lock.acquire():
        chain(sync.s(), merge.s())()


app.conf.beat_schedule["sync"] = {"task": "shop.sync_and_merge", "schedule": 120.0}

# -- a record of every run: state, times, result, error with its stack
app.conf.update(
    result_backend="db+postgresql://shop@localhost/shop",
    result_extended=True,
    task_track_started=True,
    result_expires=90 * 86_400,
)

# -- a metric for an alert, when a job has not succeeded for too long
from celery.signals import task_success, worker_ready
from prometheus_client import Gauge, start_http_server

SUCCEEDED = Gauge("job_last_success_timestamp_seconds", "The last success of a job.", ["job"])


@task_success.connect
def noted(sender, **_):
    SUCCEEDED.labels(sender.name).set_to_current_time()


@worker_ready.connect
def serve(**_):
    start_http_server(8765)


# -- several replicas, of which one schedules
app.conf.update(
    beat_scheduler="redbeat.RedBeatScheduler",
    redbeat_redis_url="redis://localhost:6379/2",
    redbeat_lock_timeout=60,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
)

# -- runs by hand, with their result: sereno trigger shop.sync --wait
import sys

if __name__ == "__main__":
    print(app.send_task(sys.argv[1]).get(timeout=600))
