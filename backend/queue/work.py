"""RQ queues and the one way work gets on them: `Work.wake`, which coalesces and never loses a wake-up.

Each kind of work on a project has a generation. Waking schedules the job `{kind}-{project}-{generation}`, of which RQ allows
one; the job raises the generation as its first act, before it reads anything. So whatever happens before that act is
seen by the job, whatever happens after schedules the next one, and at most one runs and one waits. A job that failed
waits for its own next try, which stands for the next generation too.

Of the jobs that embed a project's images any number run together, and one waits: see `backend.queue.claims`.
"""

import time
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq import Queue, Retry
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.rate_limit import RateLimit, RateLimitRegistry
from rq.serializers import JSONSerializer

from backend.queue.clock import now
from backend.queue.scripts import BEGIN, UPKEEP, WAKE
from backend.queue.signs import text

TRAIN, EMBED, HOUSEKEEPING = "al-train", "al-embed", "al-housekeeping"
FINETUNE = "al-finetune"  # for workers of its own: such a job takes minutes to hours, and must not delay the others
QUEUES = (TRAIN, HOUSEKEEPING, EMBED)  # a worker takes them in this order
DAY = 86_400
LOST_SECONDS = 8  # a worker that takes a job off its queue begins it in milliseconds, or is gone
PATIENT = (5, 30, 120, *[600] * 40)  # a job of hours outlives restarts and outages
GIVES_WAY = 10  # nice of jobs that take long: rounds, embedding and the server go first
EVERY = 1000  # as many jobs of a kind as there are workers
DEPTHS = ("last", "all")  # of ResNet50 that a fine-tuning retrains


@dataclass(frozen=True)
class Kind:
    """A kind of work. lock: what it must not run beside, for the same project; timeout: seconds; again: seconds before each
    further try of one that failed; extra: arguments after project and generation; nice: how far its process gives way to the
    worker's other jobs; together: how many may hold the lock at once."""

    queue: str
    function: str
    lock: str
    timeout: int
    again: tuple[int, ...] = (5, 30, 120)
    extra: tuple[str, ...] = ()
    nice: int = 0
    together: int = 1


# A round and a reconcile write to the same queue of Label Studio's: never both at once.
KINDS = {
    "round": Kind(TRAIN, "backend.jobs.round.run_round", "publish", 3600),
    "reconcile": Kind(TRAIN, "backend.jobs.reconcile.reconcile", "publish", 1800),
    "rollback": Kind(TRAIN, "backend.jobs.rollback.roll_back", "publish", 1800, again=()),
    "embed": Kind(EMBED, "backend.jobs.embed.embed", "embed", 3600, together=EVERY),
    "migrate": Kind(EMBED, "backend.jobs.migrate.migrate", "migrate", 3600, nice=GIVES_WAY),
    "map": Kind(HOUSEKEEPING, "backend.jobs.mapping.draw_map", "map", 7200, nice=GIVES_WAY),
    "doubts": Kind(HOUSEKEEPING, "backend.jobs.doubts.doubt", "doubts", 1800, nice=GIVES_WAY),
    "accept": Kind(HOUSEKEEPING, "backend.jobs.accept.accept", "accept", 4 * 3600),
    "clean": Kind(HOUSEKEEPING, "backend.jobs.clean.clean", "clean", 900),
} | {
    f"finetune_{depth}": Kind(
        FINETUNE, "backend.jobs.finetune.finetune", "finetune", 2 * DAY, again=PATIENT, extra=(depth,), nice=GIVES_WAY
    )
    for depth in DEPTHS
}


class Work:
    """What there is to do, on Redis. All names start with `al:` or belong to RQ."""

    def __init__(self, redis: Redis, retrain_after: int) -> None:
        self.redis = redis
        self._retrain_after = retrain_after
        self._wake = redis.register_script(WAKE)
        self._begin = redis.register_script(BEGIN)
        self._upkeep = redis.register_script(UPKEEP)
        self._queues = {name: Queue(name, connection=redis, serializer=JSONSerializer) for name in (*QUEUES, FINETUNE)}

    def wake(self, kind: str, project: int, delay: float = 0, labels: int = 0, gives_way: bool = False) -> str:
        """See that a job of `kind` starts for `project` in at most `delay` seconds; returns its id.

        With `labels` new labels, `delay` is the quiet time: each label puts the round off by so much again, until
        RETRAIN_AFTER of them are pending; then it starts at once. A job that failed keeps to its own next try. With
        `gives_way` no label is counted, but those that come put off what this has scheduled.
        """
        entry = KINDS[kind]
        queue = self._queues[entry.queue]
        keys = [_key(project), queue.scheduled_job_registry.key]
        generation = self.generation(kind, project)
        while True:
            job = self._make(entry, f"{kind}-{project}-{generation}", [project, generation, *entry.extra])
            given: list[Any] = [
                *_now(),
                kind,
                project,
                int(delay),
                -1 if gives_way else labels,
                self._retrain_after,
                generation,
            ]
            fields: list[Any] = [part for pair in job.to_dict().items() for part in pair if pair[1] is not None]
            job_id, wanted = self._wake(keys=keys, args=[*given, *fields])
            if job_id:
                return text(job_id)
            generation = int(wanted)  # another process came between

    def generation(self, kind: str, project: int) -> int:
        """How many jobs of `kind` have begun for `project`, which is the number of the next one."""
        return int(text(self.redis.hget(_key(project), f"{kind}:generation") or 0))

    def _make(self, entry: Kind, job_id: str, arguments: list[Any]) -> Job:
        """A job that is not on Redis yet."""
        return self._queues[entry.queue].create_job(
            entry.function,
            args=arguments,
            job_id=job_id,
            status=JobStatus.SCHEDULED,
            rate_limit=RateLimit(f"al:{entry.lock}:{arguments[0]}", entry.together),
            retry=Retry(max=len(entry.again), interval=list(entry.again)) if entry.again else None,
            timeout=entry.timeout,
            result_ttl=3600,
            failure_ttl=7 * DAY,
        )

    def roll_back(self, project: int, version: str) -> str:
        """Put `project` back to `version`; returns the job's id."""
        entry = KINDS["rollback"]
        job = self._make(entry, f"rollback-{project}-{time.time_ns()}", [project, version])
        return self._queues[entry.queue].enqueue_job(job).id

    def upkeep(self) -> list[str]:
        """Start what is due, and again what a worker that is gone has left behind; returns the ids of the latter.

        Any worker may do this at any time, for all of them: once a second is enough.
        """
        found = self._upkeep(args=[*_now(), LOST_SECONDS, *self._queues])
        return [text(job_id) for job_id in found]

    def begin(self, kind: str, project: int, generation: int, fence: str = "") -> bool:
        """A job's first act: from now on a wake-up means the next generation. With `fence`, older holders lose theirs.

        Returns False where a later generation has begun already: there is nothing left to do for this one.
        """
        return bool(self._begin(keys=[_key(project)], args=[kind, generation, fence, KINDS[kind].together]))

    def succeeded(self, kind: str, project: int) -> None:
        """Clear away the failed jobs of `kind`: what they were to do has been done since."""
        for job_id in self._queues[KINDS[kind].queue].failed_job_registry.get_job_ids():
            if job_id.startswith(f"{kind}-{project}-") and (job := self.job(job_id)):
                job.delete()

    def holds(self, project: int, fence: str) -> bool:
        """Whether no later job has taken the fence since."""
        return text(self.redis.hget(_key(project), "fence") or "") == fence

    def pending(self, project: int) -> int:
        """Labels that came since the last round began."""
        return int(text(self.redis.hget(_key(project), "pending") or 0))

    def settle(self, project: int) -> None:
        """Take the labels that came so far as seen: the round that waits for them is called off."""
        self._call_off("round", project)
        self.redis.hset(_key(project), "pending", 0)

    def forget(self, project: int) -> None:
        """Drop the project's waiting jobs and its counters; generations stay, since old jobs still bear their numbers."""
        for kind in KINDS:
            self._call_off(kind, project)
        self.redis.hdel(_key(project), "pending", "quiet", "fence")

    def _call_off(self, kind: str, project: int) -> None:
        """Delete the project's jobs of `kind` that have not begun."""
        entry = KINDS[kind]
        waiting = self._queues[entry.queue].scheduled_job_registry.get_job_ids()
        waiting += self._in_line(entry.lock, project)
        for job_id in waiting:
            if job_id.startswith(f"{kind}-{project}-") and (job := self.job(job_id)):
                job.delete()

    def _in_line(self, lock: str, project: int) -> list[str]:
        return RateLimitRegistry(f"al:{lock}:{project}", self.redis).get_rate_limited_job_ids()

    def job(self, job_id: str) -> Job | None:
        """The job, or None where Redis knows none."""
        try:
            return Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer)
        except NoSuchJobError:
            return None

    def active(self, project: int) -> list[Job]:
        """Jobs of `project` that run, wait in a queue or in line, or failed and wait for their next try, in this order."""
        queues = self._queues.values()
        running = [i.split(":")[0] for q in queues for i in q.started_job_registry.get_job_ids(cleanup=False)]
        waiting = [i for q in queues for i in q.get_job_ids()]
        waiting += [i for lock in {entry.lock for entry in KINDS.values()} for i in self._in_line(lock, project)]
        scheduled = [i for q in queues for i in q.scheduled_job_registry.get_job_ids()]
        jobs = {i: self.job(i) for i in dict.fromkeys([*running, *waiting, *scheduled]) if i.split("-")[1:2] == [str(project)]}
        return [job for i, job in jobs.items() if job and (i not in scheduled or job.started_at)]


def _key(project: int) -> str:
    return f"al:project:{project}"


def _now() -> tuple[int, str]:
    """The time in seconds, and as RQ writes it into a job."""
    moment = now()
    return int(moment.timestamp()), moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
