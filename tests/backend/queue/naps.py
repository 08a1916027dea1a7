"""Jobs for the tests of the workers: they say on Redis when they begin, and sleep."""

import time

from rq import get_current_job


def nap(project: int, _generation: int, seconds: float = 0) -> str:
    """Sleep for as many seconds; returns "slept"."""
    job = get_current_job()
    assert job
    job.connection.rpush(f"naps:{project}", time.time())
    time.sleep(seconds)
    return "slept"
