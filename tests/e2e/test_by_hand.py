"""What people set in Label Studio's own pages: a backend added by hand."""

from backend.bench.label_studio import name_of
from backend.connection.differences import SAMPLING
from tests.e2e.conftest import Annotator, first, wait_until


def test_a_backend_added_by_hand_makes_a_project_whose_queue_follows_every_label(house, insects):
    project = house.project("By hand", first(insects, 0, 24), ["ants", "bees"])
    user, password = house.settings.credentials
    backend = {"project": project, "url": house.settings.backend_url, "title": "Mine", "auth_method": "BASIC_AUTH"}
    house.admin.request("POST", "/api/ml", json=backend | {"basic_auth_user": user, "basic_auth_pass": password})
    wait_until(lambda: house.admin.project(project)["sampling"] == SAMPLING, 120, "the project is connected")
    before, annotator = house.live(project), Annotator(house.admin)
    assert house.version(project, before)
    for _ in range(10):
        task = annotator.next(project)
        annotator.label(task, insects[name_of(task)][0])
    wait_until(lambda: house.live(project) != before, 120, "a version that has learned the labels: the webhook reports them")
    wait_until(lambda: _described(house, project), what="Label Studio says which version is live")
    house.cli("disconnect", "--project", str(project))
    assert house.admin.request("GET", "/api/ml", params={"project": project}) == []
    assert house.admin.project(project)["sampling"] != SAMPLING


def _described(house, project):
    """Whether the ML backend's description names the live version."""
    said = f"{house.live(project)} is live. Macro F1: "
    (backend,) = house.admin.request("GET", "/api/ml", params={"project": project})
    return (backend.get("description") or "").startswith(said)
