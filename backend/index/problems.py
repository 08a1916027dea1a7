"""What cannot be used of a project, counted: each reason once, with its number and a few of its tasks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

EXAMPLES = 3  # task ids that a problem names
REASONS = 10  # of one kind that are told apart; the rest is counted together
ADDRESS = re.compile(r"\b(?:https?|s3|gs|azure-blob|data):\S+|(?<!\S)/\S+|\b[0-9a-f]{16,}\b")

IMAGE, PARTIAL, TASK = "image", "partial", "task"
NOUNS = {IMAGE: "image that cannot be read", PARTIAL: "image read in part", TASK: "task that cannot be used"}


@dataclass(frozen=True)
class Problem:
    """One reason why something is not used.

    kind: IMAGE, PARTIAL or TASK, or what is wrong with answers: "class", "several", "malformed", "elsewhere",
    "empty", "tie".
    count: how many tasks it is about; tasks: ids of a few of them. `str(problem)` is a line for people.
    """

    kind: str
    reason: str
    count: int
    tasks: tuple[int, ...]

    def __str__(self) -> str:
        noun = NOUNS.get(self.kind, "answer that cannot be used")
        if self.count > 1:
            first, rest = noun.split(" ", 1)
            noun = f"{first}s {rest}"
        more = ", ..." if self.count > len(self.tasks) else ""
        named = f" ({'tasks' if self.count > 1 else 'task'} {', '.join(map(str, self.tasks))}{more})" if self.tasks else ""
        return f"{self.count} {noun}: {self.reason}{named}"


def group(troubles: Iterable[tuple[int, str, str]]) -> list[Problem]:
    """Problems from (task, kind, reason), most tasks first. Reasons that differ by an address alone are one."""
    by_reason: dict[tuple[str, str], tuple[str, list[int]]] = {}
    for task, kind, reason in troubles:
        by_reason.setdefault((kind, ADDRESS.sub("", reason)), (reason, []))[1].append(task)
    told: list[Problem] = []
    rest: dict[str, list[int]] = {}
    seen: dict[str, int] = {}
    for (kind, _), (reason, tasks) in sorted(by_reason.items(), key=lambda item: -len(item[1][1])):
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= REASONS:
            told.append(Problem(kind, reason, len(tasks), tuple(tasks[:EXAMPLES])))
        else:
            rest.setdefault(kind, []).extend(tasks)
    others = [Problem(kind, "other reasons, each of fewer tasks", len(t), tuple(t[:EXAMPLES])) for kind, t in rest.items()]
    return told + others
