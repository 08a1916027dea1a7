"""Letting the model label what it is surely right about: how far the checks are, what may be accepted, and taking it back."""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from backend.index.index import ACCEPTED
from backend.labelstudio.several import SEVERAL_CHOICES
from backend.pages.visit import Page, Visit
from backend.project.shared_index import known_index
from backend.project.validation import Look, Validation, look
from backend.records.wishes import ACCEPT, MOST_CHECKS, TAKE_BACK, VALIDATE, Wishes
from backend.status.accepting import audit_text, audit_values, decision_text, images, percent, plan_text

AT_ONCE = 2  # pages that read every task of a project
ERRORS = (0.01, 0.02, 0.05)  # shares of wrong labels to choose from
FORMS = ("predictions", "annotations")


def _accept(visit: Visit) -> Response:
    return visit.page("accept.html", confirm="", **_values(visit))


def _values(visit: Visit) -> dict[str, Any]:
    project = visit.project or 0
    state = visit.house.projects.read(project)
    validation, wishes = Validation(visit.documents), Wishes(visit.documents)
    found, accepted, warning = None, 0, ""
    with known_index(visit.house.projects, project) as index:
        if index:
            found = look(validation, index.tasks)
            accepted = index.counts()[ACCEPTED]
            warning = audit_text(project, audit_values(index))
    return {
        "live": state.live,
        "trouble": SEVERAL_CHOICES if state.target.get("several") else "",
        "found": found,
        "stale": found is not None and found.frozen.target != state.target,
        "choices": [] if found is None else [_choice(project, found, error) for error in ERRORS],
        "accepted": accepted,
        "warning": warning,
        "promises": [
            (images(one.images), one.version, percent(one.error), datetime.fromtimestamp(one.when).strftime("%Y-%m-%d %H:%M"))
            for one in validation.promises()
        ],
        "errors": ERRORS,
        "percent": percent,
        "waiting": wishes.waiting(),
        "outcome": wishes.outcome(),
        "forms": FORMS,
        "most": MOST_CHECKS,
    }


def _choice(project: int, found: Look, error: float) -> dict[str, Any]:
    """What accepting with `error` would mean now."""
    decision = found.decide(error)
    if len(decision.tasks):
        return {"error": error, "images": len(decision.tasks), "text": f"{decision_text(decision, error)}."}
    return {"error": error, "images": 0, "text": plan_text(project, decision, found.open_checks)}


def _act(visit: Visit) -> Response:
    """Wish for what the pressed button says; accepting and taking back only once that is confirmed."""
    act, project = visit.text("act"), visit.project or 0
    wishes = Wishes(visit.documents)
    error = next((share for share in ERRORS if str(share) == visit.text("error")), None)
    form = visit.text("form")
    if act in (ACCEPT, TAKE_BACK) and not visit.text("confirmed"):
        values = _values(visit)
        text = next((choice["text"] for choice in values["choices"] if choice["error"] == error and choice["images"]), "")
        if act == ACCEPT and not text:
            return visit.page("trouble.html", 409, text="Nothing can be accepted at that error by now: load Accept again.")
        return visit.page("accept.html", confirm=act, error=error, form=form, text=text, **values)
    if act == VALIDATE and error and visit.text("n").isascii() and visit.text("n").isdigit() and len(visit.text("n")) < 6:
        if not 0 < int(visit.text("n")) <= MOST_CHECKS:
            return visit.page(
                "trouble.html", 400, text=f"{visit.text('n')} images cannot be asked for: take 1 to {MOST_CHECKS}."
            )
        wishes.add(VALIDATE, n=int(visit.text("n")), error=error, anew=bool(visit.text("anew")))
    elif act == ACCEPT and error and form in FORMS:
        wishes.add(ACCEPT, error=error, form=form)
    elif act == TAKE_BACK:
        wishes.add(TAKE_BACK)
    else:
        return visit.page("trouble.html", 400, text=f"{act or 'This form'} is nothing that can be done here.")
    visit.house.work.wake("accept", project)
    return visit.go(f"/projects/{project}/accept")


PAGES = (Page("/accept", _accept, at_once=AT_ONCE), Page("/accept", _act, "POST", at_once=AT_ONCE))
