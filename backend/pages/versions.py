"""Versions of a project's model: what each learned and how good it is, and going back to one."""

from starlette.responses import Response

from backend.pages.visit import Page, Visit
from backend.records.kept import versions_of
from backend.status.figures import f1
from backend.status.values import version_values
from model.version_store import VersionError


def _versions(visit: Visit) -> Response:
    project = visit.project or 0
    live, kept = visit.house.projects.read(project).live, versions_of(visit.house.projects, project)
    known = [version_values(kept, name) for name in kept.names()]
    entries = [version | {"f1": f1(version), "is_live": version["name"] == live} for version in known]
    return visit.page("versions.html", versions=entries[::-1])


def _go_to(visit: Visit) -> Response:
    """Let the queue follow the version that the form names."""
    project = visit.project or 0
    try:
        versions_of(visit.house.projects, project).about(visit.text("version"))
    except VersionError as error:
        return visit.page("trouble.html", 400, text=str(error))
    visit.house.work.roll_back(project, visit.text("version"))
    return visit.go(f"/projects/{project}/jobs")


PAGES = (Page("/versions", _versions), Page("/versions", _go_to, "POST"))
