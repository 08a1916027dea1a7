"""What one job embeds of a project's images while others embed the rest."""

import time
from collections.abc import Callable, Iterator, Sequence

from backend.index.index import Row
from backend.project.embedding import embed_parts, embed_tasks, unembedded
from backend.project.session import Session
from backend.queue.claims import EMBEDDING, Claims
from model.embeddings.embedding_loop import Outcome

PART = 64  # images claimed at once: how far apart the last two of several workers end, and how often they ask Redis
WINDOW = 512  # images looked at in one act on Redis
HELD_SECONDS = 10.0  # for which images that others have claimed are waited for
LOOK_SECONDS = 1
BETWEEN = 1  # seconds between two slices of whoever leads, in which its worker takes what waits in its other queues
LAST_ONES = 5  # the same where others have all that is left


class Share:
    """A job's share of the images of `tasks`, which have no embedding yet, the most urgent first.

    more: called once, when images are left beside the first ones that the job has claimed. passed_over: whether it left some to
    others that had claimed them.
    """

    def __init__(self, session: Session, claims: Claims, tasks: Sequence[int], more: Callable[[], object]) -> None:
        self._session, self._claims, self._tasks, self._more = session, claims, tasks, more
        self._next = 0  # the first task that was not looked at
        self._claimed = 0
        self._told = 0  # images tried by this job that all jobs know of
        self.passed_over = False

    @property
    def tried(self) -> int:
        """How many images it has tried."""
        return self._told

    @property
    def rest(self) -> bool:
        """Whether it had no time for all images that were left to it."""
        return self._next < len(self._tasks) or self._told < self._claimed

    def embed(self, before: int, seconds: float, stop: Callable[[], bool]) -> int:
        """Embed for about `seconds` or until `stop`; returns how many images were tried. before: how many all jobs had done
        when `tasks` were told."""
        if not self._tasks:
            return 0
        self._standing = self._claims.advance(0, before + len(self._tasks))
        return embed_parts(self._session, self._parts(), seconds, self._progress, self._settled, stop)

    def _parts(self) -> Iterator[list[Row]]:
        """Rows that are claimed now and still lack an embedding, part by part."""
        while self._next < len(self._tasks):
            first, part = not self._claimed, self._claim()
            if first and part and self._next < len(self._tasks):
                self._more()
            self._claimed += len(part)
            yield part

    def _claim(self) -> list[Row]:
        """The next rows that nobody else has. What another job has embedded since `tasks` were told is on disk by the time at
        which it lets go of it: so the store is looked at once more after the claim."""
        store = self._session.store
        window = self._tasks[self._next : self._next + WINDOW]
        positions = {task: position for position, task in enumerate(window)}
        rows = self._session.index.rows_of(window)
        missing = set(store.missing([row.key for row in rows]))
        open_rows = [(positions[row.task], row) for row in rows if row.key in missing]
        looked_at, mine = self._claims.claim([row.key for _, row in open_rows], PART)
        self.passed_over |= looked_at > len(mine)
        self._next += open_rows[looked_at - 1][0] + 1 if len(mine) == PART else len(window)
        claimed = [open_rows[position][1] for position in mine]
        store.refresh()
        still = set(store.missing([row.key for row in claimed]))
        self._claims.release([row.key for row in claimed if row.key not in still])
        return [row for row in claimed if row.key in still]

    def _settled(self, outcomes: list[Outcome[Row]]) -> None:
        """Let go of what is embedded. What failed is kept until the job ends: else another would try it again."""
        self._claims.release([outcome.item.key for outcome in outcomes if not outcome.error])
        self._standing = self._claims.advance(len(outcomes))
        self._told += len(outcomes)

    def _progress(self, tried: int) -> None:
        """Tell how far all jobs are, as far as this one knows."""
        at = self._standing
        done = min(at.done + tried - self._told, at.total)
        about = {"seconds_left": at.seconds_left, "backbone": self._session.backbone}
        self._session.progress(EMBEDDING, done, at.total, **about)


def embed_share(
    session: Session, claims: Claims, seconds: float, more: Callable[[], object], stop: Callable[[], bool]
) -> tuple[Share, int]:
    """Embed a Share of all images of the project for about `seconds` or until `stop`, and let go of it. Returns it, and how
    many images others have claimed."""
    before = claims.done()
    labelled, others = unembedded(session)
    share = Share(session, claims, [*labelled, *others], more)
    try:
        share.embed(before, seconds, stop)
    finally:
        claimed_by_others = claims.end()
    return share, claimed_by_others


def lead(session: Session, claims: Claims, seconds: float, more: Callable[[], object], stop: Callable[[], bool]) -> int | None:
    """As `embed_share`, beside the jobs which `more` wakes. Returns the seconds after which to go on, None where no image is
    left that may be tried."""
    claims.share()
    share, claimed_by_others = embed_share(session, claims, seconds, more, stop)
    session.store.compact()
    if not any(unembedded(session)):
        claims.finish()
        return None
    return LAST_ONES if claimed_by_others and not share.rest else BETWEEN


def embed_or_wait(session: Session, claims: Claims, tasks: Sequence[int], before: int) -> None:
    """Embed the images of `tasks`. Those that another job has claimed are waited for, and are embedded here as well where none
    of them was for HELD_SECONDS. before: see Share.embed."""
    patient_until = time.monotonic() + HELD_SECONDS
    while tasks:
        share = Share(session, claims, tasks, lambda: None)
        share.embed(before, float("inf"), lambda: False)
        if not share.passed_over:
            return
        time.sleep(LOOK_SECONDS)
        before, still = claims.done(), _open(session, tasks)
        if len(still) < len(tasks):
            patient_until = time.monotonic() + HELD_SECONDS
        elif time.monotonic() > patient_until:
            embed_tasks(session, still)
            return
        tasks = still


def _open(session: Session, tasks: Sequence[int]) -> list[int]:
    """Those of `tasks` that have no embedding still, and may be tried."""
    rows, barred = session.index.rows_of(tasks), session.index.tasks.barred()
    session.store.refresh()
    missing = set(session.store.missing([row.key for row in rows]))
    return [row.task for row in rows if row.key in missing and row.task not in barred]
