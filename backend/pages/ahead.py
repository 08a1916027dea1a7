"""Sending images to the head of the queue, and letting them go again."""

from starlette.responses import Response

from backend.pages.visit import Page, Visit
from backend.project.shared_index import known_index
from backend.records.ahead import Ahead, TooManyAhead

BOX = "task:"  # begins the names of the boxes by which images are chosen


def chosen(visit: Visit) -> list[int]:
    """The tasks that a form names: in boxes of its own each, or in one field `tasks`, separated by commas."""
    boxes = [name.removeprefix(BOX) for name in visit.form if name.startswith(BOX)]
    named = [*boxes, *visit.text("tasks").split(",")]
    return [int(text) for text in dict.fromkeys(named) if text.isascii() and text.isdigit() and len(text) < 19]


def unlabelled(visit: Visit, tasks: list[int]) -> list[int]:
    """Those of `tasks` that this project has, and nobody has answered. Raises IndexUnavailable."""
    with known_index(visit.house.projects, visit.project or 0) as index:
        pool = set(index.tasks.pool()[0].tolist()) if index else set()
    return [task for task in tasks if task in pool]


def _ahead(visit: Visit) -> Response:
    """Send the chosen images, or let them go, and have the queue follow."""
    assert visit.account  # noqa: S101  only who has logged in comes here
    house, project, tasks = visit.house, visit.project or 0, chosen(visit)
    ahead = Ahead(visit.documents)
    if visit.text("act") in ("let_go", "let_all_go"):
        ahead.let_go(tasks if visit.text("act") == "let_go" else ahead.tasks().tolist())
        house.work.wake("round", project)  # it gives them the places that they would have had
        return visit.go(f"/projects/{project}/queue")
    left = unlabelled(visit, tasks)
    if not left:
        text = "No image without a label was chosen: go back, choose some, and send them again."
        return visit.page("trouble.html", 400, text=text)
    try:
        ahead.send(left, visit.account.name)
    except TooManyAhead as error:
        return visit.page("trouble.html", 400, text=str(error))
    house.work.wake("reconcile", project)  # quicker than a round, and it also works while the project is paused
    return visit.go(f"/projects/{project}/queue")


PAGES = (Page("/ahead", _ahead, "POST"),)
