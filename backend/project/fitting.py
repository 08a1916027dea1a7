"""Whether a worker fits the server: they may run on different machines, and what one makes the other must be able to use."""

import logging
from threading import Event

from redis import Redis
from redis.exceptions import RedisError

from backend import __version__
from backend.project.sharing import projects_of
from backend.project.wanted import wanted_base
from backend.queue.clock import follow
from backend.queue.signs import announce, announced
from backend.settings import Settings
from model.networks.arithmetic import FLOAT32, check_available
from model.networks.backbone import backbone_name
from model.networks.weights_file import WeightsError
from model.storage.documents_in_bucket import Haste

log = logging.getLogger(__name__)
ANNOUNCE_SECONDS = 30  # until a Redis that has lost its data knows again


def base_of(settings: Settings) -> str:
    """Network and weights that BACKBONE and MODEL_WEIGHTS name, by a name that follows their content. Raises WeightsError."""
    return backbone_name(wanted_base(settings, "", FLOAT32))


def why_unfit(settings: Settings, redis: Redis) -> str:
    """Why a worker of these settings must not take jobs, for people; "" where it fits, or no server has said what it is.

    STORE is not asked: a worker's own process must not use it, since each job is a fork of that.
    """
    server = announced(redis)
    if not server.version:
        return ""
    if server.version != __version__:
        return (
            f"it is of version {__version__}, the server of {server.version}: install one version on both, and start them again"
        )
    if server.store != settings.store:
        here, there = settings.store or "not set", server.store or "not set"
        return f"STORE is {here} there, and {there} where the server runs: give both the same"
    try:
        if server.base and server.base != base_of(settings):
            return (
                f"BACKBONE and MODEL_WEIGHTS name {base_of(settings)} there, and {server.base} where the server runs: give "
                "both the same network and the same file of weights"
            )
        if arithmetic := server.arithmetic if settings.store else projects_of(settings).arithmetic():
            check_available(arithmetic)
    except WeightsError as error:
        return str(error)
    return ""


def keep_announcing(settings: Settings, redis: Redis, end: Event) -> None:
    """Tell workers what the server is, and follow Redis' clock, now and again until `end`."""
    projects = projects_of(settings, Haste.SERVING)
    while True:
        try:
            base = base_of(settings)  # asked anew: the file of weights may come, or be whole, later
        except WeightsError:  # the jobs tell
            base = ""
        try:
            follow(redis)
            announce(redis, base, settings.store, projects.settled_arithmetic())
        except (RedisError, OSError) as error:
            log.debug("Not announced: %s", error)
        if end.wait(ANNOUNCE_SECONDS):
            return
