"""Redis, and the workers that take jobs from it."""

import socket
import time

from rq import Worker
from rq.worker import BaseWorker

from backend import __version__
from backend.doctor.case import House
from backend.doctor.finding import Finding, ok, warning, wrong
from backend.processes import runs
from backend.queue.clock import now
from backend.queue.redis_server import RedisUnavailable
from backend.queue.signs import unfit_of, version_of
from backend.queue.work import FINETUNE, QUEUES

LATE_SECONDS = 90  # a worker's sign of life comes every 30 s, and every few while a job runs
CLOCKS_SECONDS = 5  # by which two machines may differ


def redis(house: House) -> Finding:
    """It answers, takes what is written, and forgets nothing by itself."""
    try:
        found = house.redis.info()
    except RedisUnavailable as error:
        step = (
            "check REDIS_URL" if house.settings.redis_url else "start `al-backend up`, with the same DATA_DIR as this command"
        )
        return wrong(str(error), step)
    name = f"{found.get('redis_version', 'of unknown version')}, {'REDIS_URL' if house.settings.redis_url else 'embedded'}"
    if found.get("role") == "slave":
        return wrong(f"{name}: a replica, which takes nothing that is written", "set REDIS_URL to the primary")
    limit, used = int(found.get("maxmemory", 0)), int(found.get("used_memory", 0))
    policy = str(found.get("maxmemory_policy", "noeviction"))
    if limit and used >= limit:
        return wrong(f"{name}: its memory is full ({used} of {limit} bytes)", "raise its maxmemory")
    if limit and policy != "noeviction":
        return warning(f"{name}: it drops jobs once its memory is full ({policy})", "set its maxmemory-policy to noeviction")
    if found.get("rdb_last_bgsave_status") == "err" or found.get("aof_last_write_status") == "err":
        return wrong(f"{name}: it cannot save its data, and takes none then", "make room on its disk, and see its log")
    return ok(name)


def workers(house: House) -> Finding:
    """Each queue has a worker that gives signs of life, and all are of this version."""
    known = {*QUEUES, FINETUNE}
    all_of_them = [worker for worker in Worker.all(connection=house.redis) if set(worker.queue_names()) & known]
    lively = [worker for worker in all_of_them if not _is_late(worker)]
    idle = [queue for queue in QUEUES if not any(queue in worker.queue_names() for worker in lively)]
    if idle:
        hung = f" ({len(all_of_them) - len(lively)} hang)" if len(lively) < len(all_of_them) else ""
        return wrong(
            f"no worker takes {', '.join(idle)}: {len(lively)} work{hung}",
            f"start `al-backend up`, or `al-backend worker {' '.join(idle)}`",
        )
    others = sorted({version_of(house.redis, worker.key) or "an older one" for worker in lively} - {__version__})
    if others:
        return wrong(
            f"workers are of version {', '.join(others)}, this command is {__version__}",
            "end every `al-backend up` and worker, on each machine, and start them again from one installation",
        )
    if unfit := sorted({why for worker in lively if (why := unfit_of(house.redis, worker.key))}):
        return wrong(f"a worker takes no job: {unfit[0]}", "`al-backend settings` on each machine shows what it has")
    if not any(FINETUNE in worker.queue_names() for worker in lively):
        return warning(f"none takes {FINETUNE}, so that ResNet50 is never retrained", f"`al-backend worker {FINETUNE}`")
    if len(lively) < len(all_of_them):
        return warning(f"{len(all_of_them) - len(lively)} give no sign of life", "end those processes, and start them again")
    return ok(f"{len(lively)} work, of version {__version__}, for every queue")


def redis_clock(house: House) -> Finding:
    """The clock of the machine that Redis runs on."""
    seconds, microseconds = house.redis.time()
    off = time.time() - (seconds + microseconds / 1e6)
    if abs(off) > CLOCKS_SECONDS:
        return warning(
            f"this machine and that of Redis differ by {abs(off):.0f} s: jobs follow that of Redis, but times "
            "that are shown may be wrong",
            "let both follow NTP",
        )
    return ok(f"{abs(off):.1f} s from Redis'")


def _is_late(worker: BaseWorker) -> bool:
    """Whether it hangs, or was killed a moment ago."""
    beat = worker.last_heartbeat
    if worker.hostname == socket.gethostname() and worker.pid and not runs(worker.pid):
        return True
    return beat is None or (now() - beat).total_seconds() > LATE_SECONDS
