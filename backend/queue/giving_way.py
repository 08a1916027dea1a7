"""Whether a job that embeds had better end early: where every worker embeds, a round would wait until a slice is over."""

import time

from redis import Redis
from rq.job import Job

from backend.queue.signs import text

LEAST_SECONDS = 5  # that a job may go on before it gives way: it took some to begin
LOOK_SECONDS = 1  # between two looks
ONE = "al:gives-way"  # set by the job that gives way, for the others to go on
ONE_SECONDS = 5  # after which another does, where there is still a job that waits


class GivesWay:
    """Called again and again, says whether `job`, which some worker runs, is to end for one that waits in a queue which its
    worker takes before `job`'s. Of several jobs that might, one is told so. Without a job nothing waits."""

    def __init__(self, redis: Redis, job: Job | None) -> None:
        self._redis = redis
        self._next_look = time.monotonic() + LEAST_SECONDS
        self._before = _queues_before(redis, job) if job else []
        self._ends = False

    def __call__(self) -> bool:
        """Whether to end now; once it is True it stays so."""
        now = time.monotonic()
        if self._before and not self._ends and now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            waits = any(self._redis.llen(f"rq:queue:{name}") for name in self._before)
            self._ends = waits and bool(self._redis.set(ONE, 1, nx=True, ex=ONE_SECONDS))
        return self._ends


def _queues_before(redis: Redis, job: Job) -> list[str]:
    """The queues that the job's worker looks into before the one that the job came from."""
    names = text(redis.hget(f"rq:worker:{job.worker_name}", "queues")).split(",")
    return names[: names.index(job.origin)] if job.origin in names else []
