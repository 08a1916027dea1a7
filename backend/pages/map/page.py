"""The page Map: drawn on demand by a job, looked at in the browser, and what is chosen on it is sent on."""

from contextlib import closing
from typing import Any

from starlette.responses import Response

from backend.pages.ahead import chosen
from backend.pages.map import plotting
from backend.pages.map.points import points
from backend.pages.policy import policy
from backend.pages.visit import Page, Visit
from backend.project.shared_index import open_index
from backend.records.ahead import MOST
from backend.records.map import has_map, read_map
from backend.status.jobs import describe_job, job_values

SHOWN = 200  # pictures of those chosen
AT_ONCE = 2  # maps being read
BINARY = "application/octet-stream"
# Plotly makes its shaders' programs from text and puts its rules into a style element: without these two it says that WebGL is
# not supported. Scripts inside the page stay forbidden.
RELAXED = {"script-src": "'self' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'"}


def _map(visit: Visit) -> Response:
    project = visit.project or 0
    there = has_map(visit.documents)
    answer = visit.page(
        "map.html",
        there=there,
        live=visit.house.projects.read(project).live,
        running=_running(visit),
        plotly=plotting.address() if there else "",
        most=MOST,
    )
    if there:
        answer.headers["Content-Security-Policy"] = policy(RELAXED)
    return answer


def _running(visit: Visit) -> list[dict[str, Any]]:
    """Jobs that draw the map."""
    jobs = [job_values(job) for job in visit.house.work.active(visit.project or 0) if job.id.startswith("map-")]
    return [values | {"text": describe_job(values)} for values in jobs]


def _draw(visit: Visit) -> Response:
    visit.house.work.wake("map", visit.project or 0)
    return visit.go(f"/projects/{visit.project}/map")


def _points(visit: Visit) -> Response:
    project = visit.project or 0
    drawn = read_map(visit.documents)
    if drawn is None:
        return Response("There is no map yet.", 404)
    with closing(open_index(visit.house.projects, project)) as index:
        state = visit.house.projects.read(project)
        return Response(points(drawn, index, state.live, bool(state.target.get("several"))), media_type=BINARY)


def _pictures(visit: Visit) -> Response:
    """The chosen images as pictures, of which some can be sent on."""
    tasks = chosen(visit)
    with closing(open_index(visit.house.projects, visit.project or 0)) as index:
        left = set(index.tasks.pool()[0].tolist())
        there = [task for task in tasks[:SHOWN] if task in left or index.row(task)]
    if not there:
        return visit.page("trouble.html", 400, text="No image was chosen: go back to the map and choose some.")
    return visit.page("map_chosen.html", tasks=there, left=left, count=len(tasks))


PAGES = (
    Page("/map", _map),
    Page("/map", _draw, "POST"),
    Page("/map/points", _points, at_once=AT_ONCE),
    Page("/map/pictures", _pictures, "POST", at_once=AT_ONCE),
    *plotting.PAGES,
)
