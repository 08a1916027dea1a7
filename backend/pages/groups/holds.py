"""Who has which images of a project before them, on Redis: Label Studio shows nobody another's locks, so these are our own.

A hold is on an image, not on a group: a new version's groups have other names and the same images. Each ends by itself.
"""

from collections.abc import Sequence

from redis import Redis

SECONDS = 180  # that a page holds its images; it says every minute that it is still open
DECIDED_SECONDS = 3600  # that images are nobody's after a decision: a round has read their labels by then
LEAST = 2  # images that are worth a group
NOBODY = 0  # holds what is decided; people's ids begin at 1

# Values are "holder:view:end", by task. Takes those of the tasks that nobody but this person holds, if they are `least` or
# more, for `holder`. With 0 seconds it only looks. Returns those that are free or the person's own.
TAKE = """
local now, person, holder, view = tonumber(redis.call('TIME')[1]), ARGV[1], ARGV[2], ARGV[3]
local seconds, least, free = tonumber(ARGV[4]), tonumber(ARGV[5]), {}
for number = 6, #ARGV do
    local held = redis.call('HGET', KEYS[1], ARGV[number])
    local who, ends = string.match(held or '', '^(%d+):[^:]*:(%d+)$')
    if not who or who == person or tonumber(ends) <= now then free[#free + 1] = ARGV[number] end
end
if #free < least or seconds == 0 then return free end
for _, task in ipairs(free) do
    redis.call('HSET', KEYS[1], task, holder .. ':' .. view .. ':' .. string.format('%d', now + seconds))
end
if redis.call('TTL', KEYS[1]) < seconds then redis.call('EXPIRE', KEYS[1], seconds) end
return free
"""

# Lets go of those of the tasks that this holder has; with a view, only of what was taken for that.
LET_GO = """
for number = 3, #ARGV do
    local who, view = string.match(redis.call('HGET', KEYS[1], ARGV[number]) or '', '^(%d+):([^:]*):%d+$')
    if who == ARGV[1] and (ARGV[2] == '' or view == ARGV[2]) then redis.call('HDEL', KEYS[1], ARGV[number]) end
end
"""


class Holds:
    """The holds on images of `project`."""

    def __init__(self, redis: Redis, project: int) -> None:
        self._key = f"al:groups:{project}:held"
        self._take = redis.register_script(TAKE)
        self._let_go = redis.register_script(LET_GO)

    def take(self, tasks: Sequence[int], person: int, view: str, least: int = LEAST) -> list[int]:
        """Those of `tasks` that nobody else holds: `person` holds them from now on, where they are at least `least`.

        view: which page they are for, so that one that is left lets go of its own alone.
        """
        return self._run(tasks, person, person, view, SECONDS, least)

    def free(self, tasks: Sequence[int], person: int) -> list[int]:
        """Those of `tasks` that nobody but `person` holds."""
        return self._run(tasks, person, person, "", 0, 0)

    def decide(self, tasks: Sequence[int], person: int) -> list[int]:
        """Those of `tasks` that nobody else holds: `person` has decided about them, and they are nobody's from now on."""
        return self._run(tasks, person, NOBODY, "", DECIDED_SECONDS, 1)

    def let_go(self, tasks: Sequence[int], holder: int, view: str = "") -> None:
        """`holder` has them no more; with `view`, as far as they were taken for that page."""
        if tasks:
            self._let_go(keys=[self._key], args=[holder, view, *tasks])

    def _run(self, tasks: Sequence[int], person: int, holder: int, view: str, seconds: int, least: int) -> list[int]:
        found = self._take(keys=[self._key], args=[person, holder, view, seconds, least, *tasks]) if tasks else []
        return [int(task) for task in found]
