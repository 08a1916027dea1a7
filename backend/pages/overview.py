"""The list of projects with what each needs now, and the overview of one."""

from starlette.responses import Response

from backend.pages.visit import Page, Visit
from backend.status.accepting import checks_text
from backend.status.figures import f1, live_version
from backend.status.people import people_text
from backend.status.stopping import stopping_text
from backend.status.text import next_step, problems
from backend.status.values import status
from model.storage.documents_in_bucket import Haste


def _projects(visit: Visit) -> Response:
    titles = visit.titles()  # which Label Studio was asked for; each project's own page asks it more
    found = status(visit.house.settings, visit.house.work, only=set(titles), compared=False, haste=Haste.SERVING)
    entries = [
        {
            "id": p["project"],
            "title": titles[p["project"]],
            "tasks": p.get("tasks", {}),
            "f1": f1(live_version(p)),
            "jobs": len(p.get("jobs", [])),
            "next": next_step(p, found),
        }
        for p in found["projects"]
    ]
    return visit.page("projects.html", entries=entries)


def _overview(visit: Visit) -> Response:
    found = status(visit.house.settings, visit.house.work, only={visit.project or 0}, haste=Haste.SERVING)
    (p,) = found["projects"]
    live = live_version(p)
    return visit.page(
        "overview.html",
        p=p,
        f1=f1(live),
        stopping=stopping_text(p) if "people" in p else "",
        problems=problems(p),
        next=next_step(p, found),
        checks=checks_text(p["accepting"]["checks"]) if "people" in p and p["accepting"]["checks"] else "",
        people=people_text(p["people"]) if "people" in p else "",
    )


PAGES = (Page("/", _projects, of_project=False), Page("", _overview))
