"""Projects that Label Studio has asked this backend about without `connect`: added by hand under Settings > Model.

Kept in Redis for a while, so that `status` can list them. While `connect` adds the backend itself, the project is expected.
"""

import time

from redis import Redis

EXPECTED = "al:expected:{}"  # by project
EXPECTED_SECONDS = 600  # longer than `connect` takes
SIGHTED = "al:sighted"  # a hash: project -> when it was last asked about
SIGHTED_SECONDS = 7 * 86_400


def expect(redis: Redis, project: int) -> None:
    """`connect` is about to add this backend to `project`: /setup must not refuse it as a stranger."""
    redis.set(EXPECTED.format(project), 1, ex=EXPECTED_SECONDS)
    redis.hdel(SIGHTED, str(project))


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
