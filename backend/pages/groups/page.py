"""The page of groups, and what its form and its script send."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.responses import Response

from backend.pages.groups.desk import Desk
from backend.pages.groups.holds import LEAST, NOBODY
from backend.pages.groups.keys import codes
from backend.pages.groups.said import is_pending, told
from backend.pages.kept import kept
from backend.pages.visit import Page, Visit
from backend.records.ahead import TooManyAhead
from backend.records.groups import ASKED

AT_ONCE = 4  # of each of these pages
LARGEST = 40  # images of a group: more do not fit on a screen
MOST = 500  # images that a person chooses at a time
TAKEN = "somebody else has it in a group, or it was decided already"
SLOT = "a random slot now, to be labelled one by one"
NO_CLASS = "Choose the class that this group is to have: go back, and take one of the list."
TOO_FEW = (
    f"Choose {LEAST} images or more that have no label yet and nobody else is at. Random slots measure the model: they are "
    "labelled one by one, in Label Studio."
)


def _show(visit: Visit) -> Response:
    """The next group, and what became of those before."""
    desk, view = Desk(visit), secrets.token_hex(4)
    values: dict[str, Any] = {"offer": None, "after": [], "classes": []}
    with kept(visit) as known:
        values["several"] = bool(known and known.live.several)
        if known and not known.live.several:
            chooser = desk.chooser(known)
            offer = chooser.take(view)
            after = chooser.after(offer) if offer else []
            values |= {"offer": offer, "after": after, "classes": known.live.classes}
    offer = values["offer"]
    values |= {
        "codes": codes(len(offer.tasks)) if offer else [],
        "own_choice": bool(offer and offer.group.name.startswith(f"{ASKED}-")),
        "view": view,
        "since": int(time.time()),
        "skipped": bool(desk.decisions.skipped()),
    }
    return desk.and_write(visit.page("groups.html", **values, **_said(desk)))


def _tell(visit: Visit) -> Response:
    """What became of the last groups alone: the page asks while something is written."""
    desk = Desk(visit)
    return desk.and_write(visit.page("groups_said.html", **_said(desk)))


def _said(desk: Desk) -> dict[str, Any]:
    recent = [(decision, desk.decisions.is_undone(decision)) for decision in desk.decisions.recent()]
    return {
        "said": told(recent),
        "busy": any(is_pending(decision, undone) for decision, undone in recent),
        "can_undo": any(decision.changed_something and not undone for decision, undone in recent),
    }


def _act(visit: Visit) -> Response:
    """Do what the pressed button says."""
    act = ACTS.get(visit.text("act"))
    if not act:
        return visit.page("trouble.html", 400, text="This form says nothing that can be done here.")
    return act(Desk(visit))


def _label(desk: Desk) -> Response:
    """The ticked images get the chosen class; the others are in no group any more, and come next one by one: those on which the
    head is wrong teach it most."""
    with kept(desk.visit) as known:
        if not known or desk.visit.text("label") not in known.live.classes:
            return desk.visit.page("trouble.html", 400, text=NO_CLASS)
        ticked = set(desk.ticked)
        tasks = [task for task in desk.shown if task in ticked and known.index.row(task)]
        chooser = desk.chooser(known)
        slots = set(filter(chooser.is_drawn, tasks))
        out = chooser.usable([task for task in desk.shown if task not in ticked])
        group = desk.group(known)
    mine = desk.holds.decide([task for task in tasks if task not in slots], desk.person)
    left = {task: SLOT if task in slots else TAKEN for task in tasks if task not in mine}
    desk.holds.let_go(desk.shown, desk.person)
    desk.groups.let_go(group.name)
    desk.decisions.add(group, mine, left, desk.seconds)
    with suppress(TooManyAhead):
        desk.ahead.send(out, desk.name)
    return desk.back()


def _skip(desk: Desk) -> Response:
    """This person sees the group no more; others may."""
    desk.decisions.skip(desk.visit.text("group")[:100], desk.shown)
    desk.holds.let_go(desk.shown, desk.person)
    return desk.back()


def _give_up(desk: Desk) -> Response:
    """Nobody sees the group any more: a person's own choice that turned out to be none."""
    desk.groups.let_go(desk.visit.text("group"))
    return _skip(desk)


def _undo(desk: Desk) -> Response:
    """The last group that this person has labelled comes back, and its labels are deleted."""
    desk.holds.let_go(desk.shown, desk.person)
    if decision := desk.decisions.undo():
        desk.ahead.let_go(set(decision.group.tasks) - set(decision.tasks) - set(decision.left))
        desk.holds.let_go(decision.tasks, NOBODY)
        desk.decisions.show_skipped(list(decision.group.tasks))
        desk.decisions.offer_again(decision.group)
    return desk.back()


def _show_skipped(desk: Desk) -> Response:
    desk.decisions.show_skipped()
    return desk.back()


def _ask(visit: Visit) -> Response:
    """The ticked images become a group, or where they are many one for each class of the head's: they come next."""
    desk = Desk(visit)
    if len(desk.ticked) > MOST:
        return visit.page("trouble.html", 400, text=f"{len(desk.ticked)} images are too many: choose up to {MOST} at a time.")
    with kept(visit) as known:
        chooser = desk.chooser(known) if known else None
        tasks = chooser.usable(desk.ticked) if chooser else []
        parts = chooser.by_guess(tasks, LARGEST) if chooser and len(tasks) > LARGEST else [tasks]
    if len(desk.holds.free(tasks, desk.person)) < LEAST:
        return visit.page("trouble.html", 400, text=TOO_FEW)
    assert visit.account  # noqa: S101
    for part in reversed(parts):  # each comes before those that are there
        desk.groups.ask(part, visit.account.name)
    desk.decisions.show_skipped(tasks)
    return desk.back()


def _hold(visit: Visit) -> Response:
    """The page is still open."""
    desk = Desk(visit)
    desk.holds.take(desk.shown, desk.person, desk.view, 1)
    return Response(status_code=204)


def _leave(visit: Visit) -> Response:
    """The page was left: others may have its images."""
    desk = Desk(visit)
    desk.holds.let_go(desk.shown, desk.person, desk.view)
    return Response(status_code=204)


ACTS: dict[str, Callable[[Desk], Response]] = {
    "label": _label,
    "skip": _skip,
    "give_up": _give_up,
    "undo": _undo,
    "show_skipped": _show_skipped,
}
PAGES = (
    Page("/groups", _show, at_once=AT_ONCE),
    Page("/groups", _act, "POST", at_once=AT_ONCE),
    Page("/groups/ask", _ask, "POST", at_once=AT_ONCE),
    Page("/groups/hold", _hold, "POST", at_once=AT_ONCE),
    Page("/groups/leave", _leave, "POST", at_once=AT_ONCE),
    Page("/groups/said", _tell, at_once=AT_ONCE),
)
