"""Which job embeds which image, so that several embed a project's together, and how far all of them are.

A job claims images some at a time; a claim ends with its job, or once RQ has not heard from the job's worker for seconds. The
embedding store alone says what is embedded: to lose Redis costs some images that are embedded twice, and none that is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from backend.queue.clock import now
from backend.queue.signs import text

EMBEDDING = "embedding images"  # as the progress of a job tells it
PACE_SECONDS = 30  # the time left follows from what was done in the last one to two of these
SHARED_SECONDS = 180  # for which a job lets others take part, unless it says so again

# What the scripts share: KEYS: the claims, a hash of names with the job that holds each; ARGV: now, the job that asks.
_HOLDS = """
local now, job, known = ARGV[1], ARGV[2], {}
local function lives(other)
    if known[other] == nil then known[other] = redis.call('ZCOUNT', 'rq:executions:' .. other, now, '+inf') > 0 end
    return known[other]
end
"""

# ARGV from 3: how many are wanted, names ... Returns how many names were looked at, and which of them are the job's now.
CLAIM = (
    _HOLDS
    + """
local wanted, mine, number = tonumber(ARGV[3]), {}, 4
while number <= #ARGV and #mine < wanted do
    local holder = redis.call('HGET', KEYS[1], ARGV[number])
    if not holder or holder == job or not lives(holder) then
        redis.call('HSET', KEYS[1], ARGV[number], job)
        table.insert(mine, number - 4)
    end
    number = number + 1
end
redis.call('EXPIRE', KEYS[1], 3600)  -- nobody need clear it away
return {number - 4, mine}
"""
)

# ARGV from 3: names ... Lets go of those that the job holds.
RELEASE = """
for number = 3, #ARGV do
    if redis.call('HGET', KEYS[1], ARGV[number]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[number]) end
end
"""

# Lets go of all that the job holds. Returns how many names others hold.
END = (
    _HOLDS
    + """
local others, held = 0, redis.call('HGETALL', KEYS[1])
for number = 1, #held, 2 do
    if held[number + 1] == job or not lives(held[number + 1]) then
        redis.call('HDEL', KEYS[1], held[number])
    else
        others = others + 1
    end
end
return others
"""
)

# KEYS: the progress, a hash. ARGV: now, images done since the last time, images that there are at least, seconds of the pace.
# Returns how many are done, of how many; and of a while ago the time, and how many were done by then.
ADVANCE = """
local now, pace = tonumber(ARGV[1]), tonumber(ARGV[4])
local function value(field) return tonumber(redis.call('HGET', KEYS[1], field) or '') end
local before = value('done') or 0
local done = before + tonumber(ARGV[2])
local total = math.max(value('total') or 0, tonumber(ARGV[3]), done)
local since, since_done, mark, mark_done = value('since'), value('since_done'), value('mark'), value('mark_done')
if not since then since, since_done, mark, mark_done = now, before, now, before end
if now - mark >= pace then since, since_done, mark, mark_done = mark, mark_done, now, done end
redis.call('HSET', KEYS[1], 'done', done, 'total', total, 'since', since, 'since_done', since_done,
    'mark', mark, 'mark_done', mark_done)
redis.call('EXPIRE', KEYS[1], 3600)
return {done, total, since, since_done}
"""


@dataclass(frozen=True)
class Standing:
    """How far all jobs are together: images done, of a total; seconds_left: None where nothing is known of the pace yet."""

    done: int
    total: int
    seconds_left: float | None


class Claims:
    """What `job` claims of the images that are to go through `backbone` for `project`."""

    def __init__(self, redis: Redis, project: int, backbone: str, job: str) -> None:
        self._redis = redis
        self._project, self._backbone, self._job = project, backbone, job
        self._held = f"al:claims:{project}:{backbone}"
        self._progress = f"al:embedded:{project}:{backbone}"
        self._claim, self._release, self._end, self._advance = map(redis.register_script, (CLAIM, RELEASE, END, ADVANCE))

    def claim(self, names: Sequence[object], wanted: int) -> tuple[int, list[int]]:
        """Claim the first `wanted` of `names` that no other living job holds. Returns how many names were looked at, and the
        positions of those that are claimed now."""
        looked_at, mine = self._claim(keys=[self._held], args=[*self._asking(), wanted, *map(str, names)])
        return int(looked_at), [int(position) for position in mine]

    def release(self, names: Sequence[object]) -> None:
        """Let go of `names`."""
        if names:
            self._release(keys=[self._held], args=[*self._asking(), *map(str, names)])

    def end(self) -> int:
        """Let go of everything; returns how many names other living jobs hold."""
        return int(self._end(keys=[self._held], args=self._asking()))

    def done(self) -> int:
        """How many images all jobs have done."""
        return int(self._redis.hget(self._progress, "done") or 0)

    def advance(self, done: int, total: int = 0) -> Standing:
        """Count `done` more images; there are `total` at least. Returns how far all jobs are."""
        moment = _seconds()
        values = self._advance(keys=[self._progress], args=[moment, done, total, PACE_SECONDS])
        done, total, since, before = map(int, values)
        left = (total - done) * (moment - since) / (done - before) if done > before and moment > since else None
        return Standing(done, total, left)

    def share(self) -> None:
        """Let jobs that embed the project's images take some of these too, once they have done their own."""
        self._redis.set(_shared(self._project), self._backbone, ex=SHARED_SECONDS)

    def finish(self) -> None:
        """Nothing is left to do: the next images are counted from zero."""
        self._redis.delete(self._progress)
        if shared_backbone(self._redis, self._project) == self._backbone:
            self._redis.delete(_shared(self._project))

    def _asking(self) -> tuple[int, str]:
        return _seconds(), self._job


def shared_backbone(redis: Redis, project: int) -> str:
    """The backbone beside the live one that all jobs which embed the project's images are to use on them; "" for none."""
    return text(redis.get(_shared(project)) or "")


def _shared(project: int) -> str:
    return f"al:shared:{project}"


def _seconds() -> int:
    return int(now().timestamp())
