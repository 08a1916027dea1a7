"""One request about groups: what its form says, and what it takes to answer."""

import re
import time
from functools import cached_property

from anyio import CapacityLimiter, to_thread
from starlette.background import BackgroundTask
from starlette.responses import Response

from backend.pages.ahead import chosen
from backend.pages.groups.choosing import Chooser
from backend.pages.groups.decisions import Decisions
from backend.pages.groups.holds import Holds
from backend.pages.groups.writing import work_off
from backend.pages.kept import Kept
from backend.pages.visit import Visit
from backend.records.ahead import Ahead
from backend.records.groups import Group, Groups

WRITERS = CapacityLimiter(4)  # people whose labels are written at a time; others wait, and hold no thread that a webhook needs
LONGEST_SECONDS = 300.0  # that somebody looks at one image; whoever takes longer was away
MOST = 500  # images of a group


class Desk:
    """What the answer to `visit` needs of the person and the project."""

    def __init__(self, visit: Visit) -> None:
        assert visit.account  # noqa: S101  these pages need a login
        self.visit = visit
        self.person = visit.account.id
        self._explore = visit.house.settings.explore
        redis, project = visit.house.work.redis, visit.project or 0
        self.name = visit.account.name
        self.groups, self.ahead = Groups(visit.documents), Ahead(visit.documents)
        self.holds = Holds(redis, project)
        self.decisions = Decisions(redis, project, self.person)

    @cached_property
    def shown(self) -> list[int]:
        """The images that the form is about."""
        return [int(task) for task in self.visit.text("shown").split() if re.fullmatch(r"\d{1,18}", task, re.ASCII)][:MOST]

    @cached_property
    def ticked(self) -> list[int]:
        """Images that are ticked, or named otherwise."""
        return chosen(self.visit)

    @property
    def view(self) -> str:
        """Which page was sent."""
        return re.sub("[^0-9a-f]", "", self.visit.text("view"))[:8]

    @property
    def seconds(self) -> float:
        """That the person took for each of the images."""
        since = self.visit.text("since")
        took = time.time() - int(since) if since.isascii() and since.isdigit() and len(since) < 12 else 0.0
        return round(min(max(took / max(len(self.shown), 1), 0.0), LONGEST_SECONDS), 3)

    def group(self, known: Kept) -> Group:
        """The group that the form is about, as it was shown; it may be gone from the store since."""
        name = self.visit.text("group")[:100]
        there = [*self.decisions.again(), *self.groups.read(known.live.name)]
        known_as = next((group for group in there if group.name == name), Group(name, (), "", (), ""))
        confidences = dict(zip(known_as.tasks, known_as.confidences, strict=False))
        sure = tuple(confidences[task] for task in self.shown if task in confidences)
        return Group(
            name, tuple(self.shown), self.visit.text("label"), sure if len(sure) == len(self.shown) else (), known_as.why
        )

    def chooser(self, known: Kept) -> Chooser:
        """Chooses for this person."""
        return Chooser(known, self.groups, self.holds, self.decisions, self.person, self._explore)

    def back(self) -> Response:
        """To the next group."""
        return self.and_write(self.visit.go(f"/projects/{self.visit.project}/groups"))

    def and_write(self, answer: Response) -> Response:
        """`answer`, and whatever this person has decided is written once it was sent."""
        if self.decisions.waits():
            answer.background = BackgroundTask(_write, self.visit)
        return answer


async def _write(visit: Visit) -> None:
    assert visit.account  # noqa: S101
    await to_thread.run_sync(work_off, visit.house, visit.project or 0, visit.account, limiter=WRITERS)
