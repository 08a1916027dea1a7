"""Signs on Redis: what the server is, for workers to fit it; and for `doctor`: of which version a worker is, why it takes no
job, and that the server has heard of a change.

The latter costs the server one SET for each PROJECT_UPDATED, which Label Studio sends when a project's settings are changed.
"""

import time
from typing import Any, NamedTuple

from redis import Redis

from backend import __version__

HEARD = "al:heard:{}"  # by project: "nanoseconds version", of the server that heard
HEARD_SECONDS = 86_400
VERSION, UNFIT = "al_version", "al_unfit"  # beside what RQ itself writes of a worker, and gone with it
SERVER = "al:server"  # a hash of what a server is


class Server(NamedTuple):
    """What a server is. base: the network and weights of its settings; store: where what is known of projects lies, "" for its
    DATA_DIR; arithmetic: in which networks compute there, "" where that is not settled yet."""

    version: str
    base: str = ""
    store: str = ""
    arithmetic: str = ""


def hear(redis: Redis, project: int) -> None:
    """The server has heard that `project` was changed."""
    redis.set(HEARD.format(project), f"{time.time_ns()} {__version__}", ex=HEARD_SECONDS)


def heard(redis: Redis, project: int) -> tuple[str, str]:
    """When the server last heard of a change of `project`, and of which version it is; "" twice for never, or a day ago."""
    moment, _, version = text(redis.get(HEARD.format(project))).partition(" ")
    return moment, version


def tell_version(redis: Redis, worker: str) -> None:
    """Write beside what RQ keeps under `worker`, the worker's key, of which version it is."""
    redis.hset(worker, VERSION, __version__)


def version_of(redis: Redis, worker: str) -> str:
    """The version of the worker with the key `worker`, "" where it does not say."""
    return text(redis.hget(worker, VERSION))


def tell_unfit(redis: Redis, worker: str, why: str) -> None:
    """Write there why the worker takes no job; "" once it does."""
    redis.hset(worker, UNFIT, why)


def unfit_of(redis: Redis, worker: str) -> str:
    """Why the worker with the key `worker` takes no job, "" where it does."""
    return text(redis.hget(worker, UNFIT))


def announce(redis: Redis, base: str, store: str = "", arithmetic: str = "") -> None:
    """The server says what it is."""
    redis.hset(SERVER, mapping=dict(zip(Server._fields, (__version__, base, store, arithmetic), strict=True)))


def announced(redis: Redis) -> Server:
    """What the server that began last is; "" all over where none has said so."""
    return Server(*map(text, redis.hmget(SERVER, Server._fields)))


def text(found: Any) -> str:
    """What Redis answered as text, "" for nothing."""
    if found is None:
        return ""
    return found.decode() if isinstance(found, bytes) else str(found)
