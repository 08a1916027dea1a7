"""The page of labels that are likely wrong and of images that people disagree about, with what can be done about each."""

from starlette.responses import Response

from backend.labelstudio.several import shown
from backend.pages.doubts.listed import Listed, look
from backend.pages.people.names import names_for
from backend.pages.visit import Page, Visit
from backend.project.shared_index import known_index
from backend.records.doubts import Right

AT_ONCE = 2  # pages that read every answer of a project
AGAIN, RIGHT = "again", "right"  # what a form asks for


def _doubts(visit: Visit) -> Response:
    project, said = visit.project or 0, visit.request.query_params.get("asked", "")
    state = visit.house.projects.read(project)
    asked = {int(said)} if said.isascii() and said.isdigit() and len(said) < 19 else set()
    several = bool(state.target.get("several"))
    listed, names = Listed(None, [], 0, [], 0), names_for(visit)
    with known_index(visit.house.projects, project) as index:
        if index:
            listed = look(index, visit.documents, state.live, asked)
    return visit.page(
        "doubts.html",
        live=state.live,
        listed=listed,
        asked=sorted(asked),
        readable=lambda label: shown(label, several),
        by=lambda entry: [(names.of(a.person), a.choice) for a in entry.said if names.sees(a.person)],
        others=lambda entry: names.others({answer.person for answer in entry.said}),
        again=AGAIN,
        right=RIGHT,
    )


def _act(visit: Visit) -> Response:
    """Ask one person more, or keep the label for good."""
    project, number = visit.project or 0, visit.text("task")
    task = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else -1
    back = f"/projects/{project}/doubts"
    with known_index(visit.house.projects, project) as index:
        if not index:
            return visit.go(back)
        row, said, wanted = index.row(task), index.answers.of(task), index.answers.wanted(task)
    if not row or not said:
        return visit.page("trouble.html", 404, text="Nobody has answered this task, or it was deleted.")
    if visit.text("act") == RIGHT:
        if row.label is None or row.label != visit.text("label"):
            return visit.page("trouble.html", 409, text=f"Task {task} has another label by now: load Doubts again.")
        Right(visit.documents).add(task, row.label)
        return visit.go(back)
    if wanted is None or not wanted.is_open:
        people = {answer.person for answer in said if not answer.skipped}
        with visit.label_studio() as label_studio:
            label_studio.ask_more(task, max(len(people), wanted.people if wanted else 1) + 1)
    visit.house.work.wake("reconcile", project)  # which puts it before the queue
    return visit.go(f"{back}?asked={task}")


PAGES = (Page("/doubts", _doubts, at_once=AT_ONCE), Page("/doubts", _act, "POST"))
