"""Rounds wait while a group of labels is on its way to Label Studio: one for all of it, not one for each RETRAIN_AFTER."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

KEY = "al:writing:{}"  # by project
SECONDS = 10  # in which a group is written as a rule, and after which rounds go on beside it


@contextmanager
def writing(redis: Redis, project: int) -> Iterator[None]:
    """Rounds of `project` begin after the block, or SECONDS after its start."""
    redis.set(KEY.format(project), 1, ex=SECONDS)
    try:
        yield
    finally:
        redis.delete(KEY.format(project))


def wait_until_written(redis: Redis, project: int) -> None:
    """Return once nothing is being written for `project`, or after SECONDS."""
    deadline = time.monotonic() + SECONDS
    while redis.exists(KEY.format(project)) and time.monotonic() < deadline:
        time.sleep(0.1)
