"""A test of a job, in six lines."""

from metadatos.cache import Cache
from metadatos.jobs import cleanup_expired_cache

from sereno.testing import run_job


async def test_cleanup_expired_cache():
    cache = Cache(ttl=0)
    cache.put("a", b"x" * 2048)
    done = await run_job(cleanup_expired_cache, state=cache)
    assert done.state == "succeeded"
    assert done.result["entries_removed"] == 1
