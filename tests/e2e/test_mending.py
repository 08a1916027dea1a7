"""What happens beside plain labelling: skips, imports, deletions, changed configs, hands on model_version, lost webhooks."""

import json
import shutil
import sqlite3

import pytest

from backend.bench import label_studio as ls
from backend.bench.label_studio import label_config, name_of
from backend.bench.plugin import Plugin
from tests.conftest import every_prediction
from tests.e2e.conftest import QUEUE_SIZE, Annotator, first, free_port, label_studio_venv, wait_until

CLASSES = ["ants", "bees"]


@pytest.fixture(scope="module")
def annotator(house):
    """Someone who labels."""
    return Annotator(house.admin)


@pytest.fixture
def project(house, insects):
    """A small connected project of the test's own."""
    project = house.project("Mending", first(insects, 0, 24), CLASSES)
    house.cli("connect", "--project", str(project))
    return project


def label(annotator, project, insects, count):
    """Label `count` tasks through the queue; returns annotation ids by task."""
    done = {}
    for _ in range(count):
        task = annotator.next(project)
        done[task["id"]] = annotator.label(task, insects[name_of(task)][0])
    return done


def trained_on(house, project):
    """Tasks that the live version was trained on."""
    return set(house.version(project, house.live(project)).tasks.tolist())


def prediction(house, project, task):
    """The live prediction of a task, or None."""
    live = house.live(project)
    return next((p for p in house.admin.task_predictions(task) if p["model_version"] == live), None)


def test_a_skipped_task_goes_to_the_back(house, project, annotator):
    task = annotator.next(project)
    annotator.skip(task)
    wait_until(lambda: prediction(house, project, task["id"])["score"] == 1.0, what="the skipped task is last")
    assert Annotator(house.admin).next(project)["id"] != task["id"]


def test_imported_tasks_get_scores_under_the_live_version_behind_the_queue(house, project, insects):
    live, before = house.live(project), house.open_tasks(project)
    ls.import_images(house.admin, project, first(insects, 24, 28), lambda *_: None)
    new = wait_until(lambda: house.open_tasks(project) - before)
    wait_until(lambda: all(prediction(house, project, task) for task in new), what="new tasks are scored")
    assert house.live(project) == live
    assert all(prediction(house, project, task)["score"] >= 0.5 for task in new)


@pytest.mark.parametrize("what", ["annotations", "tasks"])
def test_what_is_deleted_is_unlearned(house, project, annotator, insects, what):
    done = label(annotator, project, insects, 5)
    wait_until(lambda: trained_on(house, project) == set(done), what="five labels are trained on")
    gone = next(iter(done))
    house.admin.request("DELETE", f"/api/{what}/{done[gone] if what == 'annotations' else gone}/")
    wait_until(lambda: trained_on(house, project) == set(done) - {gone}, what="the label is unlearned")


def test_a_changed_answer_is_relearned(house, project, annotator, insects):
    done = label(annotator, project, insects, 3)
    wait_until(lambda: trained_on(house, project) == set(done))
    before, (task, annotation) = house.live(project), next(iter(done.items()))
    old = house.version(project, before)
    number = int(old.labels[old.tasks == task][0])
    other = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [CLASSES[1 - number]]}}]
    house.admin.request("PATCH", f"/api/annotations/{annotation}/", json={"result": other})
    wait_until(lambda: house.live(project) != before)
    new = house.version(project, house.live(project))
    assert int(new.labels[new.tasks == task][0]) == 1 - number


def test_a_new_class_reaches_the_model(house, project, annotator, insects):
    label(annotator, project, insects, 4)
    house.admin.patch_project(project, label_config=label_config([*CLASSES, "wasps"]))

    def learned():
        return house.version(project, house.live(project)).classes == [*CLASSES, "wasps"]

    wait_until(learned, what="a version knows the new class")
    assert len(house.version(project, house.live(project)).tasks) == 4


@pytest.mark.parametrize("value", ["", "Active learning"])
def test_a_model_version_reset_by_hand_is_put_right(house, project, value):
    live = house.live(project)
    house.admin.patch_project(project, model_version=value)
    wait_until(lambda: house.live(project) == live, what="the live version is back")


def test_a_lost_webhook_heals_by_reconciling(house, project, annotator, insects):
    hook = house.admin.request("GET", "/api/webhooks/", params={"project": project})[0]
    house.admin.request("PATCH", f"/api/webhooks/{hook['id']}/", json={"is_active": False})
    done = label(annotator, project, insects, 3)
    assert trained_on(house, project) == set()
    house.cli("resume", "--project", str(project))  # reconciles, as a timer does every RECONCILE_SECONDS
    wait_until(lambda: trained_on(house, project) == set(done), what="labels whose webhooks were lost are trained on")


def test_a_lost_index_is_rebuilt(house, project):
    live, queue = house.live(project), house.queue(project, house.live(project))
    for path in (house.settings.data_dir / "projects" / str(project)).glob("index.sqlite*"):
        path.unlink()
    house.cli("resume", "--project", str(project))
    wait_until(lambda: house.cli("status").count("24 to do"), what="the index is back")
    assert (house.live(project), house.queue(project, live)) == (live, queue)


def test_a_paused_project_keeps_its_queue_until_resumed(house, project, annotator, insects):
    live = house.live(project)
    house.cli("pause", "--project", str(project))
    done = label(annotator, project, insects, 11)
    assert "New" not in house.cli("retrain", "--project", str(project), ok=False).split("error")[0]
    assert house.live(project) == live
    house.cli("resume", "--project", str(project))
    wait_until(lambda: trained_on(house, project) == set(done), what="labels given while paused are trained on")


def test_the_last_image_can_be_labelled_and_then_it_is_done(house, annotator, insects):
    project = house.project("Done", first(insects, 0, 6), CLASSES)
    house.cli("connect", "--project", str(project))
    label(annotator, project, insects, 6)
    assert annotator.next(project) is None
    status = wait_until(lambda: _version_with(house, project, 6), what="all six labels are trained on")
    assert status["last_error"] is None


def test_an_empty_project_can_be_connected_and_filled_later(house, annotator, insects):
    project = house.project("Empty", {}, CLASSES)
    house.cli("connect", "--project", str(project))
    ls.import_images(house.admin, project, first(insects, 0, 12), lambda *_: None)
    wait_until(lambda: house.live(project).startswith("al-"), what="the queue is published")
    queue = house.queue(project, house.live(project))
    assert sorted(queue) == sorted(house.open_tasks(project))
    assert annotator.next(project)["id"] == queue[0]


def test_a_project_deleted_in_label_studio_is_let_go(house, insects):
    project = house.project("Deleted", first(insects, 0, 2), CLASSES)
    house.cli("connect", "--project", str(project))
    house.admin.request("DELETE", f"/api/projects/{project}/")
    house.plugin.command("resume", "--project", str(project), capture=True)  # fails where a job has found out already
    wait_until(lambda: f"Project {project} (not connected" in house.cli("status"), what="it counts as not connected")


def test_a_queue_half_used_is_refilled_under_the_same_version(house, annotator, insects):
    project = house.project("Refill", first(insects, 0, 12), CLASSES)
    house.cli("connect", "--project", str(project))
    house.cli("pause", "--project", str(project))  # no new version comes to the rescue
    live, queue = house.live(project), house.queue(project, house.live(project))
    ls.import_images(house.admin, project, first(insects, 12, 20), lambda *_: None)
    wait_until(lambda: len(house.queue(project, live)) == 20, what="the new tasks have places")
    assert all(p["score"] >= 0.5 for p in every_prediction(house.admin, project) if p["task"] not in queue)
    label(annotator, project, insects, 7)
    ls.import_images(house.admin, project, first(insects, 20, 21), lambda *_: None)

    def refilled():
        return sum(p["score"] < 0.5 for p in every_prediction(house.admin, project)) >= 20

    wait_until(refilled, what="the queue is refilled")
    assert house.live(project) == live
    assert house.queue(project, live)[:12] == queue
    published = house.queue(project, live)
    assert len(published) == len(set(published)), "a task has two predictions of one version"


def _version_with(house, project, labels):
    found = next(p for p in json.loads(house.cli("status", "--json"))["projects"] if p["project"] == project)
    return found if found["versions"][-1]["labels"] == labels else None


def test_start_training_in_label_studio_starts_a_round(house, project, annotator, insects):
    label(annotator, project, insects, 1)
    before = house.live(project)
    backend = house.admin.request("GET", "/api/ml", params={"project": project})[0]
    house.admin.request("POST", f"/api/ml/{backend['id']}/train", json={})
    wait_until(lambda: house.live(project) != before, what="a new version is live")


def test_retrieve_predictions_gives_every_task_one_and_a_broken_image_the_last_place(house, project, tmp_path):
    broken = tmp_path / "image-99999.jpg"
    broken.write_bytes(b"this is not an image")
    ls.import_images(house.admin, project, {broken.name: ("", broken)}, lambda *_: None)
    ls.wait_for_tasks(house.admin, project, 25)
    params = {"id": "retrieve_tasks_predictions", "project": project}
    selected = {"selectedItems": {"all": True, "excluded": []}, "filters": {"conjunction": "and", "items": []}}
    house.admin.request("POST", "/api/dm/actions", params=params, json=selected | {"ordering": []})
    tasks = {t["id"]: name_of(t) for page in house.admin.tasks(project) for t in page}
    found = {task: prediction(house, project, task) for task in tasks}
    assert all(found.values())
    bad = next(p for task, p in found.items() if tasks[task] == broken.name)
    assert (bad["result"], bad["score"]) == ([], 1.0)
    assert "1 unreadable" in wait_until(lambda: "1 unreadable" in (text := house.cli("status")) and text)


def test_two_projects_with_other_classes_live_side_by_side(house, project, insects, annotator):
    other = house.project("Other classes", first(insects, 30, 50), ["six legs", "wings", "sting"])
    house.cli("connect", "--project", str(other), "--strategy", "entropy")
    for choice in ("six legs", "wings", "sting", "wings"):
        annotator.label(annotator.next(other), choice)
    wait_until(lambda: len(trained_on(house, other)) == 4)
    assert house.version(other, house.live(other)).classes == ["six legs", "wings", "sting"]
    assert house.version(other, house.live(other)).strategy == "entropy"
    assert house.version(project, house.live(project)).classes == CLASSES


def test_connecting_twice_changes_nothing(house, project):
    live = house.live(project)
    house.cli("connect", "--project", str(project))
    assert house.live(project) == live
    assert len(house.admin.request("GET", "/api/ml", params={"project": project})) == 1
    assert len(house.admin.request("GET", "/api/webhooks/", params={"project": project})) == 1


def test_disconnecting_puts_things_back_and_connecting_again_goes_on(house, project):
    live = house.live(project)
    house.cli("disconnect", "--project", str(project))
    assert house.admin.project(project)["sampling"] == "Sequential sampling"
    assert house.admin.request("GET", "/api/ml", params={"project": project}) == []
    assert house.admin.request("GET", "/api/webhooks/", params={"project": project}) == []
    house.cli("connect", "--project", str(project))
    assert house.admin.project(project)["sampling"] == "Uncertainty sampling"
    assert house.live(project) == live


def test_a_config_without_a_single_choice_is_refused_by_connect(house):
    config = (
        '<View><Image name="i" value="$image"/><RectangleLabels name="r" toName="i"><Label value="a"/></RectangleLabels></View>'
    )
    made = house.admin.request("POST", "/api/projects", json={"title": "Boxes", "label_config": config})
    assert "needs <Choices>" in house.cli("connect", "--project", str(made["id"]), ok=False)


def test_label_studio_shows_why_a_config_is_refused(house):
    config = (
        '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices></View>'
    )
    made = house.admin.request("POST", "/api/projects", json={"title": "Texts", "label_config": config})
    wanted = {"project": made["id"], "url": house.settings.backend_url, "title": "AL", "auth_method": "BASIC_AUTH"}
    wanted |= {"basic_auth_user": "label-studio", "basic_auth_pass": "secret"}
    answer = house.admin.http.post("/api/ml", json=wanted)
    assert answer.status_code == 400
    assert "Active learning needs" in answer.text


def test_a_wrong_token_is_explained(house):
    values = {"LABEL_STUDIO_API_KEY": "a.b.c", "LABEL_STUDIO_URL": house.admin.url, "PORT": "1"}
    other = Plugin(values | {"DATA_DIR": str(house.settings.data_dir)})
    done = other.command("connect", "--project", "1", capture=True)
    assert done.returncode == 1
    assert "personal access token" in done.stderr


def test_a_label_studio_that_blocks_private_addresses_is_explained_and_left_clean(house, project, tmp_path):
    folder = house.folder / "label-studio"
    shutil.copytree(folder, tmp_path / "ls", ignore=shutil.ignore_patterns("*.sqlite3*"))
    with (
        sqlite3.connect(folder / "label_studio.sqlite3") as live,
        sqlite3.connect(tmp_path / "ls/label_studio.sqlite3") as copy,
    ):
        live.backup(copy)
    strict = ls.LabelStudioServer(label_studio_venv(), tmp_path / "ls", free_port(), environment={})
    try:
        strict.start()
        values = house.values | {"LABEL_STUDIO_URL": strict.url, "BACKEND_URL": f"http://127.0.0.1:{house.values['PORT']}"}
        done = Plugin(values).command("connect", "--project", str(project), capture=True)
        assert done.returncode == 1
        assert "USE_DEFAULT_BANNED_SUBNETS=false" in done.stderr
        assert "USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16" in done.stderr
        backends = strict.client().request("GET", "/api/ml", params={"project": project})
        assert values["BACKEND_URL"] not in [backend["url"] for backend in backends]
    finally:
        strict.stop()


def test_the_queue_is_as_long_as_configured(house, insects):
    project = house.project("Long", first(insects, 0, QUEUE_SIZE + 10), CLASSES)
    house.cli("connect", "--project", str(project))
    assert len(house.queue(project, house.live(project))) == QUEUE_SIZE
