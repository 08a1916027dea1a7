"""One clock for all machines: Redis'. What is due, and whose sign of life is late, is told by times that one machine writes and
another reads, so that machines whose clocks differ would start jobs too late, or take jobs from each other that run.

RQ asks its own machine, and has no setting for that: the one function by which it does so is replaced here.
"""

import sys
import time
from datetime import UTC, datetime, timedelta

import rq.utils
from redis import Redis

_theirs = rq.utils.now
_ahead = 0.0  # seconds by which Redis' clock is ahead of this machine's


def follow(redis: Redis) -> None:
    """See what time it is by the clock of `redis`. Raises RedisError."""
    global _ahead
    before = time.time()
    seconds, microseconds = redis.time()
    _ahead = seconds + microseconds / 1e6 - (before + time.time()) / 2


def now() -> datetime:
    """The time by Redis' clock, as of the last `follow`, in UTC."""
    return datetime.now(UTC) + timedelta(seconds=_ahead)


for _module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "rq"]:
    if getattr(_module, "now", None) is _theirs:
        _module.now = now  # type: ignore[attr-defined]
