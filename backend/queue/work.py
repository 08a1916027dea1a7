"""RQ queues and the one way work gets on them: `Work.wake`, which coalesces and never loses a wake-up.

Each kind of work on a project has a generation. Waking schedules the job `{kind}-{project}-{generation}`, of which RQ allows
one; the job raises the generation as its first act, before it reads anything. So whatever happens before that act is
seen by the job, whatever happens after schedules the next one, and at most one runs and one waits.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job
from rq.rate_limit import RateLimit
from rq.serializers import JSONSerializer

log = logging.getLogger(__name__)

TRAIN, EMBED, HOUSEKEEPING = "al-train", "al-embed", "al-housekeeping"
FINETUNE = "al-finetune"  # for workers of its own: such a job takes minutes to hours, and must not delay the others
QUEUES = (TRAIN, HOUSEKEEPING, EMBED)  # a worker takes them in this order
DAY = 86_400
PATIENT = (5, 30, 120, *[600] * 40)  # a job of hours outlives restarts and outages
DEPTHS = ("last", "all")  # of ResNet50 that a fine-tuning retrains


@dataclass(frozen=True)
class Kind:
    """A kind of work. lock: what it must not run beside, for the same project; timeout: seconds; again: seconds before each
    further try of one that failed; extra: arguments after project and generation."""

    queue: str
    function: str
    lock: str
    timeout: int
    again: tuple[int, ...] = (5, 30, 120)
    extra: tuple[str, ...] = ()


# A round and a reconcile write to the same queue of Label Studio's: never both at once.
KINDS = {
    "round": Kind(TRAIN, "backend.jobs.round.run_round", "publish", 3600),
    "reconcile": Kind(TRAIN, "backend.jobs.reconcile.reconcile", "publish", 1800),
    "rollback": Kind(TRAIN, "backend.jobs.rollback.roll_back", "publish", 1800, again=()),
    "embed": Kind(EMBED, "backend.jobs.embed.embed", "embed", 900),
    "clean": Kind(HOUSEKEEPING, "backend.jobs.clean.clean", "clean", 900),
} | {
    f"finetune_{depth}": Kind(FINETUNE, "backend.jobs.finetune.finetune", "finetune", 2 * DAY, again=PATIENT, extra=(depth,))
    for depth in DEPTHS
}

# KEYS: the project's hash, the queue's scheduled registry
# ARGV: kind, project, now, delay, labels, retrain_after
# Returns the generation and the time to schedule it at, or "" where a job that will do already waits.
WAKE = """
local kind, now, at, labels = ARGV[1], tonumber(ARGV[3]), ARGV[3] + ARGV[4], tonumber(ARGV[5])
local quiet = false
if labels > 0 then
    local pending = redis.call('HINCRBY', KEYS[1], 'pending', labels)
    if pending >= tonumber(ARGV[6]) then at = now else quiet = true end
end
local field = kind .. ':generation'
local function job() return kind .. '-' .. ARGV[2] .. '-' .. (redis.call('HGET', KEYS[1], field) or '0') end
local ended = {failed = true, finished = true, canceled = true, stopped = true}
while ended[redis.call('HGET', 'rq:job:' .. job(), 'status')] do
    redis.call('HINCRBY', KEYS[1], field, 1)  -- it ended before its first act, or the counter was lost
end
local generation = redis.call('HGET', KEYS[1], field) or '0'
local scheduled = tonumber(redis.call('ZSCORE', KEYS[2], job()) or '')
if scheduled then
    -- only a job that labels alone have scheduled is put off by the next label
    local put_off = quiet and redis.call('HGET', KEYS[1], 'quiet') == job()
    if scheduled > now and (put_off or at < scheduled) then
        redis.call('ZADD', KEYS[2], at, job())
        if not quiet then redis.call('HDEL', KEYS[1], 'quiet') end
    end
    return {generation, ''}
end
if redis.call('EXISTS', 'rq:job:' .. job()) == 1 then return {generation, ''} end
if quiet then redis.call('HSET', KEYS[1], 'quiet', job()) end
return {generation, tostring(at)}
"""

# KEYS: the project's hash. ARGV: kind, generation of the job that begins, its fencing token.
BEGIN = """
local field = ARGV[1] .. ':generation'
if tonumber(redis.call('HGET', KEYS[1], field) or '0') <= tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], field, ARGV[2] + 1)
end
if ARGV[1] == 'round' then redis.call('HSET', KEYS[1], 'pending', 0) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'fence', ARGV[3]) end
"""


class Work:
    """What there is to do, on Redis. All names start with `al:` or belong to RQ."""

    def __init__(self, redis: Redis, retrain_after: int) -> None:
        self.redis = redis
        self._retrain_after = retrain_after
        self._wake = redis.register_script(WAKE)
        self._begin = redis.register_script(BEGIN)
        self._queues = {name: Queue(name, connection=redis, serializer=JSONSerializer) for name in (*QUEUES, FINETUNE)}

    def wake(self, kind: str, project: int, delay: float = 0, labels: int = 0) -> str:
        """See that a job of `kind` starts for `project` in at most `delay` seconds; returns its id.

        With `labels` new labels, `delay` is the quiet time: each label puts the round off by so much again, until
        RETRAIN_AFTER of them are pending; then it starts at once.
        """
        about = KINDS[kind]
        queue = self._queues[about.queue]
        keys = [_key(project), queue.scheduled_job_registry.key]
        arguments: list[str | int] = [kind, project, int(time.time()), int(delay), labels, self._retrain_after]
        generation, at = (_text(value) for value in self._wake(keys=keys, args=arguments))
        job_id = f"{kind}-{project}-{generation}"
        if at:
            self._schedule(about, job_id, int(float(at)), [project, int(generation), *about.extra])
        return job_id

    def _schedule(self, about: Kind, job_id: str, at: int, arguments: list[Any]) -> None:
        try:
            self._queues[about.queue].enqueue_at(
                datetime.fromtimestamp(at, UTC),
                about.function,
                args=arguments,
                job_id=job_id,
                unique=True,
                rate_limit=RateLimit(f"al:{about.lock}:{arguments[0]}", 1),
                retry=Retry(max=len(about.again), interval=list(about.again)) if about.again else None,
                job_timeout=about.timeout,
                result_ttl=3600,
                failure_ttl=7 * DAY,
            )
        except DuplicateJobError:
            log.debug("%s is already there", job_id)

    def roll_back(self, project: int, version: str) -> str:
        """Put `project` back to `version`; returns the job's id."""
        job_id = f"rollback-{project}-{time.time_ns()}"
        self._schedule(KINDS["rollback"], job_id, int(time.time()), [project, version])
        return job_id

    def begin(self, kind: str, project: int, generation: int, fence: str = "") -> None:
        """A job's first act: from now on a wake-up means the next generation. With `fence`, older holders lose theirs."""
        self._begin(keys=[_key(project)], args=[kind, generation, fence])

    def holds(self, project: int, fence: str) -> bool:
        """Whether no later job has taken the fence since."""
        return _text(self.redis.hget(_key(project), "fence") or "") == fence

    def pending(self, project: int) -> int:
        """Labels that came since the last round began."""
        return int(_text(self.redis.hget(_key(project), "pending") or 0))

    def settle(self, project: int) -> None:
        """Take the labels that came so far as seen: the round that waits for them is called off."""
        generation = _text(self.redis.hget(_key(project), "round:generation") or 0)
        registry = self._queues[TRAIN].scheduled_job_registry
        if f"round-{project}-{generation}" in registry.get_job_ids():
            registry.remove(f"round-{project}-{generation}", delete_job=True)
        self.redis.hset(_key(project), "pending", 0)

    def forget(self, project: int) -> None:
        """Drop the project's waiting jobs and its counters; generations stay, since old jobs still bear their numbers."""
        for kind, about in KINDS.items():
            for job_id in self._queues[about.queue].scheduled_job_registry.get_job_ids():
                if job_id.startswith(f"{kind}-{project}-"):
                    self._queues[about.queue].scheduled_job_registry.remove(job_id, delete_job=True)
        self.redis.hdel(_key(project), "pending", "quiet", "fence")

    def job(self, job_id: str) -> Job | None:
        """The job, or None where Redis knows none."""
        try:
            return Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer)
        except NoSuchJobError:
            return None

    def active(self, project: int) -> list[Job]:
        """Jobs of `project` that run or wait in a queue, running ones first."""
        ids = [i for q in self._queues.values() for i in q.started_job_registry.get_job_ids()]
        ids += [i for q in self._queues.values() for i in q.get_job_ids()]
        mine = (i.split(":")[0] for i in ids)  # the started registry lists executions, `{job}:{execution}`
        return [job for i in dict.fromkeys(mine) if i.split("-")[1:2] == [str(project)] and (job := self.job(i))]


def run_worker(redis: Redis, names: Iterable[str], rearm: Any, log_level: str) -> None:
    """Work on the queues `names` until told to stop. `rearm` is called at the start and every minute."""
    from backend.queue.worker import worker_class

    queues = [Queue(name, connection=redis, serializer=JSONSerializer) for name in names]
    worker: Any = worker_class()(
        queues, connection=redis, serializer=JSONSerializer, worker_ttl=45, job_monitoring_interval=10, maintenance_interval=30
    )
    worker.rearm = rearm
    worker.work(with_scheduler=True, logging_level=log_level)


def _key(project: int) -> str:
    return f"al:project:{project}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
