"""What a person has decided about groups, on Redis: in which order it is to be written, how far that is, what can be undone."""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from redis import Redis

from backend.records.groups import Group

KEPT_SECONDS = 12 * 3600  # as long as a login lasts without a page
RECENT = 20  # decisions that can be undone, one after the other


@dataclass
class Decision:
    """One group's.

    group: as it was shown, with the label that was chosen; tasks: those of it to be labelled; seconds: that it took a person
    for each image. tried: tasks whose label was sent; written: annotation and its `updated_at` by task; left: why a task was
    left out, others than `tasks` too; failed: why a task was not written; ended: nothing more is written.
    undone: tasks whose label was taken back; stays: why a label was not; taken_back: nothing more is.
    """

    name: str
    group: Group
    tasks: list[int]
    seconds: float
    tried: list[int] = field(default_factory=list)
    written: dict[int, tuple[int, str]] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    ended: bool = False
    undone: list[int] = field(default_factory=list)
    stays: dict[int, str] = field(default_factory=dict)
    taken_back: bool = False

    @property
    def open(self) -> list[int]:
        """Tasks of which nobody knows yet what becomes of them."""
        return [task for task in self.tasks if task not in self.written and task not in self.left]

    @property
    def changed_something(self) -> bool:
        """Whether there is something to undo: labels, or a group from which all was taken out."""
        return bool(self.written or not self.ended or not (self.left or self.failed))

    def as_json(self) -> str:
        """How it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes | str) -> "Decision":
        """What `as_json` gave."""
        values = json.loads(text)
        for name in ("written", "left", "failed", "stays"):
            values[name] = {int(task): tuple(v) if isinstance(v, list) else v for task, v in values[name].items()}
        return cls(**values | {"group": Group(**values["group"])})


class Decisions:
    """Those of one person about one project's groups. All is gone after KEPT_SECONDS without a new one."""

    def __init__(self, redis: Redis, project: int, person: int) -> None:
        self._redis = redis
        self._at = f"al:groups:{project}:{person}"
        self.lock = f"{self._at}:lock"

    def add(self, group: Group, tasks: list[int], left: dict[int, str], seconds: float) -> Decision:
        """A new one, to be written after those before it; see Decision."""
        decision = Decision(secrets.token_hex(8), group, tasks, seconds, left=left)
        self.keep(decision)
        with self._redis.pipeline() as pipe:
            pipe.lpush(f"{self._at}:recent", decision.name)
            pipe.ltrim(f"{self._at}:recent", 0, RECENT - 1)
            pipe.rpush(f"{self._at}:waiting", decision.name)
            pipe.hdel(f"{self._at}:again", group.name)
            for kept in ("recent", "waiting"):
                pipe.expire(f"{self._at}:{kept}", KEPT_SECONDS)
            pipe.execute()
        return decision

    def keep(self, decision: Decision) -> None:
        """How far it is now."""
        self._redis.set(f"{self._at}:{decision.name}", decision.as_json(), ex=KEPT_SECONDS)

    def undo(self) -> Decision | None:
        """The last one that can be undone is to be: what is not written of it yet never will be. None where there is none."""
        for decision in self.recent():
            if decision.changed_something and not self.is_undone(decision):
                self._redis.set(f"{self._at}:{decision.name}:undone", 1, ex=KEPT_SECONDS)
                self._redis.rpush(f"{self._at}:waiting", decision.name)
                self._redis.expire(f"{self._at}:waiting", KEPT_SECONDS)
                return decision
        return None

    def is_undone(self, decision: Decision) -> bool:
        """Whether it was undone, or is going to be."""
        return bool(self._redis.exists(f"{self._at}:{decision.name}:undone"))

    def recent(self) -> list[Decision]:
        """The last ones, the newest first."""
        names = self._redis.lrange(f"{self._at}:recent", 0, RECENT - 1)
        return [decision for name in names if (decision := self._read(name))]

    def waits(self) -> bool:
        """Whether there is something to write, or to take back."""
        return bool(self._redis.llen(f"{self._at}:waiting"))

    def work_off(self, act: Callable[[Decision], None]) -> None:
        """Do `act` with each that waits, in their order: one that is interrupted waits on."""
        while names := self._redis.lrange(f"{self._at}:waiting", 0, 0):
            if decision := self._read(names[0]):
                act(decision)
            self._redis.lrem(f"{self._at}:waiting", 1, names[0])  # type: ignore[arg-type]

    def offer_again(self, group: Group) -> None:
        """Show this person `group` before all others: it was undone, or it could not be written."""
        self._redis.hset(f"{self._at}:again", group.name, json.dumps(asdict(group)))
        self._redis.expire(f"{self._at}:again", KEPT_SECONDS)

    def again(self) -> list[Group]:
        """The groups that are offered again."""
        return [Group(**json.loads(text)) for text in self._redis.hvals(f"{self._at}:again")]

    def skip(self, group: str, tasks: list[int]) -> None:
        """Show this person no group any more that is mostly of these `tasks`."""
        self._redis.hdel(f"{self._at}:again", group)
        if tasks:
            self._redis.sadd(f"{self._at}:skipped", *tasks)
            self._redis.expire(f"{self._at}:skipped", KEPT_SECONDS)

    def skipped(self) -> set[int]:
        """Tasks of the groups that were skipped."""
        return {int(task) for task in self._redis.smembers(f"{self._at}:skipped")}

    def show_skipped(self, tasks: list[int] | None = None) -> None:
        """Show groups of `tasks` again, None for all that were skipped."""
        if tasks is None:
            self._redis.delete(f"{self._at}:skipped")
        elif tasks:
            self._redis.srem(f"{self._at}:skipped", *tasks)

    def _read(self, name: bytes | str) -> Decision | None:
        text = self._redis.get(f"{self._at}:{name.decode() if isinstance(name, bytes) else name}")
        return Decision.from_json(text) if isinstance(text, bytes | str) else None
