"""Signs of life on Redis, for `doctor` to read: of which version a worker is, and that the server has heard of a change.

The latter costs the server one SET for each PROJECT_UPDATED, which Label Studio sends when a project's settings are changed.
"""

import time

from redis import Redis

from backend import __version__

HEARD = "al:heard:{}"  # by project: "nanoseconds version", of the server that heard
HEARD_SECONDS = 86_400
VERSION = "al_version"  # beside what RQ itself writes of a worker, and gone with it


def hear(redis: Redis, project: int) -> None:
    """The server has heard that `project` was changed."""
    redis.set(HEARD.format(project), f"{time.time_ns()} {__version__}", ex=HEARD_SECONDS)


def heard(redis: Redis, project: int) -> tuple[str, str]:
    """When the server last heard of a change of `project`, and of which version it is; "" twice for never, or a day ago."""
    found = redis.get(HEARD.format(project))
    moment, _, version = (found.decode() if isinstance(found, bytes) else str(found or "")).partition(" ")
    return moment, version


def tell_version(redis: Redis, worker: str) -> None:
    """Write beside what RQ keeps under `worker`, the worker's key, of which version it is."""
    redis.hset(worker, VERSION, __version__)


def version_of(redis: Redis, worker: str) -> str:
    """The version of the worker with the key `worker`, "" where it does not say."""
    found = redis.hget(worker, VERSION)
    return found.decode() if isinstance(found, bytes) else str(found or "")
