"""Writing what a person has decided to Label Studio, as that person, and taking it back: after the answer to the browser.

One decision after the other, and one label after the other: several at a time are hardly faster on sqlite (30 labels in 3.8 s
one by one, 2.7 s two at a time, 4.3 s four, 7.6 s eight), and other people's Submits wait for them. Whatever happens, each
image is written, left out with the reason, or offered again.
"""

import logging
import secrets
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from redis.exceptions import LockError

from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError, Target, read_label_config
from backend.network.transport import request_within
from backend.pages.accounts import Account
from backend.pages.groups.decisions import Decision, Decisions
from backend.pages.groups.holds import NOBODY, Holds
from backend.pages.visit import House
from backend.queue.writing import writing

log = logging.getLogger(__name__)
LOCK_SECONDS = 60  # after which what was interrupted may go on
ASK_SECONDS = 15.0  # in which Label Studio must answer each request
PART = 6  # tasks that are read again at a time, right before they are written
PASSES = 2  # of those that failed: sqlite says "database is locked" for a moment
PAUSE = 0.5  # seconds between passes
MOST_FAILED = 3  # one after the other: then it is not the tasks that are at fault
ID_LETTERS = string.ascii_letters + string.digits  # of which Label Studio's editor makes ids of regions

MINE, OTHERS, GONE = "you have labelled it already", "labelled meanwhile by somebody else", "deleted meanwhile"
EXPIRED = "Label Studio does not take your token any more: log in again"
CHANGED, NOT_THERE = "it was changed since", "its label is gone already"


def work_off(house: House, project: int, account: Account) -> None:
    """Write, or take back, all that `account` has decided, in that order, unless somebody does so already."""
    decisions = Decisions(house.work.redis, project, account.id)
    while decisions.waits():
        lock = house.work.redis.lock(decisions.lock, timeout=LOCK_SECONDS)
        if not lock.acquire(blocking=False):
            return
        try:
            with house.accounts.client(account.token) as label_studio:
                writer = Writer(house, project, decisions, label_studio, lock)
                with writing(house.work.redis, project):
                    decisions.work_off(writer.act)
        except LockError:
            log.warning("Project %s: writing a group took so long that it was begun elsewhere", project)
            return
        finally:
            if lock.owned():
                lock.release()


class Writer:
    """Does what one person has decided. lock: held by this person's writer alone, and for longer with each label."""

    def __init__(self, house: House, project: int, decisions: Decisions, label_studio: LabelStudio, lock: Any) -> None:
        self._house = house
        self._project = project
        self._decisions = decisions
        self._studio = label_studio
        self._lock = lock
        self._holds = Holds(house.work.redis, project)
        self._sends_webhooks = True  # Label Studio sends none for people without an active organization

    def act(self, decision: Decision) -> None:
        """Write `decision`, or take back what was written of it. Raises LockError; other failures are kept in it."""
        self._lock.reacquire()
        undone = self._decisions.is_undone(decision)
        try:
            if undone:
                _patiently(self._take_back, decision)
            elif not decision.ended:
                _patiently(self._write, decision)
        except LockError:
            raise
        except (LabelStudioError, LabelConfigError) as error:
            self._give_up(decision, EXPIRED if getattr(error, "status", 0) == 401 else str(error))
        except Exception:
            log.exception("Project %s: writing a group failed", self._project)
            self._give_up(decision, "a fault of this page: the server's log says more")
        if not undone and not self._decisions.is_undone(decision):
            self._offer_rest(decision)
        if not self._sends_webhooks and decision.written:
            self._house.work.wake("reconcile", self._project)

    def _write(self, decision: Decision) -> None:
        person, target = self._prepare(decision)
        for number in range(PASSES):
            if number and decision.failed:
                time.sleep(PAUSE)
            in_a_row = 0
            for task, now in self._read_again(decision.open):
                if self._decisions.is_undone(decision):
                    return
                own = _own(now, person)
                if reason := _why_left(now, own, task in decision.tried):
                    decision.left[task] = reason
                else:
                    self._label(decision, task, target, own)
                self._keep(decision)
                in_a_row = in_a_row + 1 if task in decision.failed else 0
                if in_a_row >= MOST_FAILED:
                    break
        decision.ended = True
        self._keep(decision)

    def _prepare(self, decision: Decision) -> tuple[int, Target]:
        """Who writes, and what is asked now. Raises LabelStudioError, LabelConfigError."""
        person = self._who()
        with request_within(time.monotonic() + ASK_SECONDS):
            config = self._studio.project(self._project)["label_config"]
        found = read_label_config(config, self._house.projects.read(self._project).control)
        if found.target.SEVERAL:
            raise LabelConfigError("An image may be of several classes by now: label these images one by one.")
        if decision.group.label not in found.target.classes:
            raise LabelConfigError(f"The class {decision.group.label} is not in the labelling config any more.")
        if also := [control.name for control in found.others if control.required]:
            raise LabelConfigError(f"An answer to {', '.join(also)} is required too: label these images one by one.")
        return person, found.target

    def _read_again(self, tasks: list[int]) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Each of `tasks` with its annotations, as Label Studio has it shortly before its turn; None for one that is gone."""
        for start in range(0, len(tasks), PART):
            part = tasks[start : start + PART]
            with request_within(time.monotonic() + ASK_SECONDS):
                listed = {task["id"]: task for task in self._studio.tasks_named(self._project, part)}
            yield from ((task, listed.get(task)) for task in part)

    def _label(self, decision: Decision, task: int, target: Target, own: dict[str, Any] | None) -> None:
        """Write one label, unless that was done although Label Studio answered that it failed."""
        if own is None:
            decision.tried = [*decision.tried, task]
            self._keep(decision)
            body = {"result": [_region(target, decision.group.label)], "was_cancelled": False, "lead_time": decision.seconds}
            try:
                with request_within(time.monotonic() + ASK_SECONDS):
                    own = self._studio.annotate(task, body)
            except LabelStudioError as error:
                if error.status in (401, 403):
                    raise
                decision.failed[task] = str(error)
                return
        decision.failed.pop(task, None)
        decision.written[task] = (own["id"], str(own["updated_at"]))

    def _take_back(self, decision: Decision) -> None:
        """Delete the labels that `decision` wrote, as far as nobody has touched them since."""
        decision.ended = True
        person = self._who()
        rest = [task for task in decision.written if task not in decision.undone]
        decision.stays = {}
        for task, now in self._read_again(rest):
            annotation, updated_at = decision.written[task]
            there = next((given for given in (now or {}).get("annotations", []) if given["id"] == annotation), None)
            if not there:
                decision.stays[task] = NOT_THERE
            elif there["completed_by"] != person or there["updated_at"] != updated_at or there["ground_truth"]:
                decision.stays[task] = CHANGED
            else:
                with request_within(time.monotonic() + ASK_SECONDS):
                    self._studio.delete_annotation(annotation)
                decision.undone.append(task)
            self._keep(decision)
        decision.taken_back = True
        self._keep(decision)

    def _give_up(self, decision: Decision, why: str) -> None:
        """Nothing more is written of `decision`, nor taken back."""
        if self._decisions.is_undone(decision):
            rest = [task for task in decision.written if task not in decision.undone and task not in decision.stays]
            decision.stays |= dict.fromkeys(rest, why)
            decision.taken_back = True
        else:
            decision.failed |= dict.fromkeys(decision.open, why)
        decision.ended = True
        self._keep(decision)

    def _offer_rest(self, decision: Decision) -> None:
        """What was not written stays a group for this person, and may be one for others."""
        if rest := decision.open:
            self._holds.let_go(rest, NOBODY)
            self._decisions.offer_again(replace(decision.group, tasks=tuple(rest), confidences=()))

    def _keep(self, decision: Decision) -> None:
        """How far it is; raises LockError where writing was so slow that somebody else has begun it."""
        self._lock.reacquire()
        self._decisions.keep(decision)

    def _who(self) -> int:
        """The id of whoever writes, by Label Studio's own word."""
        with request_within(time.monotonic() + ASK_SECONDS):
            person = self._studio.whoami()
        self._sends_webhooks = person.get("active_organization") is not None
        return int(person["id"])


def _patiently(act: Callable[[Decision], None], decision: Decision) -> None:
    """Do `act`, which goes on where it ended, and once more where Label Studio fails for a moment. Raises LabelStudioError."""
    try:
        act(decision)
    except LabelStudioError as error:
        if not error.passing:
            raise
        time.sleep(PAUSE)
        act(decision)


def _own(task: dict[str, Any] | None, person: int) -> dict[str, Any] | None:
    """The newest annotation of `task` by `person`, None for none."""
    own = [given for given in (task or {}).get("annotations", []) if given["completed_by"] == person]
    return max(own, key=lambda given: given["id"], default=None)


def _why_left(task: dict[str, Any] | None, own: dict[str, Any] | None, tried: bool) -> str:
    """Why a task as it is now needs no label of this person's any more, "" where it does. own: this person's annotation of it;
    tried: whether that may be the one that is to be written."""
    if task is None:
        return GONE
    if own:
        return "" if tried else MINE
    return OTHERS if task["is_labeled"] else ""


def _region(target: Target, label: str) -> dict[str, Any]:
    """`label` as Label Studio's own editor stores it."""
    region = target.region(label, 1.0)
    del region["score"]
    return region | {"id": "".join(secrets.choice(ID_LETTERS) for _ in range(10)), "origin": "manual"}
