"""`doctor` on a real Label Studio: nothing wrong after `connect`; what people break by hand is named, and mended."""

import json

from tests.e2e.conftest import first

CLASSES = ["ants", "bees"]


def doctor(house, project, *options, ok=True):
    """What `doctor --json` finds of a project: findings by their link."""
    text = house.cli("doctor", "--project", str(project), "--json", *options, ok=ok)
    return {found["link"]: found for found in json.loads(text)["findings"]}


def test_what_people_break_by_hand_is_named_and_mended(house, insects):
    project = house.project("Doctor", first(insects, 0, 12), CLASSES)
    house.cli("connect", "--project", str(project))

    findings = doctor(house, project)
    assert {link: found for link, found in findings.items() if found["state"] not in ("ok", "warning")} == {}
    assert {link for link, found in findings.items() if found["state"] == "warning"} <= {"sign-up", "memory", "disk", "event"}
    assert "arrived" in findings["event"]["seen"]

    break_by_hand(house, project)
    before = house.admin.project(project)
    broken = doctor(house, project, ok=False)
    named = {link for link, found in broken.items() if found["state"] == "wrong"}
    assert named == {"webhook", "sampling", "hotkeys", "predictions"}
    assert broken["event"]["state"] == "skipped"
    assert house.admin.project(project) == before

    mended = doctor(house, project, "--fix")
    assert {link for link, found in mended.items() if found["mended"]} == named
    assert house.queue(project, house.live(project))
    assert {found["state"] for found in mended.values()} <= {"ok", "warning"}


def break_by_hand(house, project):
    """What people do in Label Studio's pages."""
    (hook,) = house.admin.request("GET", "/api/webhooks/", params={"project": project})
    house.admin.request("DELETE", f"/api/webhooks/{hook['id']}/")
    house.admin.patch_project(project, sampling="Sequential sampling", enable_empty_annotation=True)
    selected = {"selectedItems": {"all": True, "excluded": []}, "filters": {"conjunction": "and", "items": []}, "ordering": []}
    params = {"id": "delete_tasks_predictions", "project": project}
    house.admin.request("POST", "/api/dm/actions", params=params, json=selected)
