"""Projects that Label Studio has asked this backend about without `connect`: added by hand under Settings > Model.

The server connects such a project by itself. Where that fails, Redis keeps it for a while with the reason, so that `status` can
list it. While `connect` adds the backend itself, the project is expected.
"""

import time

from redis import Redis

EXPECTED = "al:expected:{}"  # by project
EXPECTED_SECONDS = 600  # longer than `connect` takes
SIGHTED = "al:sighted"  # a hash: project -> when it was last asked about
SIGHTED_SECONDS = 7 * 86_400
TAKEN_UP = "al:taken-up:{}"  # by project: it is being connected, or that has just failed
TAKEN_UP_SECONDS = 1800  # longer than to connect a project takes; a server that dies meanwhile leaves it for so long
AGAIN_SECONDS = 30  # after a failure, until it is tried again
TROUBLE = "al:taken-up-trouble:{}"  # by project: why it could not be connected


def expect(redis: Redis, project: int) -> None:
    """`connect` is about to add this backend to `project`: /setup must not refuse it as a stranger."""
    redis.set(EXPECTED.format(project), 1, ex=EXPECTED_SECONDS)
    redis.hdel(SIGHTED, str(project))
    redis.delete(TROUBLE.format(project))


def expected(redis: Redis, project: int) -> bool:
    """Whether `connect` is adding this backend to `project`."""
    return bool(redis.exists(EXPECTED.format(project)))


def sight(redis: Redis, project: int) -> None:
    """Label Studio has asked about `project`, which is not connected."""
    redis.hset(SIGHTED, str(project), str(int(time.time())))


def sighted(redis: Redis) -> dict[int, float]:
    """Projects that Label Studio has asked about in the last week without being connected: project -> when, in seconds."""
    since = time.time() - SIGHTED_SECONDS
    return {int(project): float(moment) for project, moment in redis.hgetall(SIGHTED).items() if float(moment) > since}


def begin(redis: Redis, project: int) -> bool:
    """Whether to connect `project` now: nobody does, and it has not failed within AGAIN_SECONDS."""
    if not redis.set(TAKEN_UP.format(project), 1, ex=TAKEN_UP_SECONDS, nx=True):
        return False
    redis.delete(TROUBLE.format(project))
    return True


def end(redis: Redis, project: int, trouble: str) -> None:
    """`project` is connected, or `trouble` says why not."""
    if trouble:
        redis.set(TROUBLE.format(project), trouble, ex=SIGHTED_SECONDS)
        redis.expire(TAKEN_UP.format(project), AGAIN_SECONDS)
    else:
        redis.hdel(SIGHTED, str(project))
        redis.delete(TROUBLE.format(project), TAKEN_UP.format(project))


def trouble_with(redis: Redis, project: int) -> str:
    """Why `project` could not be connected, "" where nothing is known of that."""
    found = redis.get(TROUBLE.format(project))
    return found.decode() if isinstance(found, bytes) else ""
