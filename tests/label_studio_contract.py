"""What the plugin relies on in Label Studio, as tests that run on the one in memory and on a real one.

A test module imports everything from here and gives the fixture `studio`, a client of the Label Studio to hold to this.
"""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.bench.label_studio import label_config
from backend.labelstudio import client
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.installation import TESTED, ask_installation, refuses_private_address, sign_up_is_open
from backend.labelstudio.labelling_config import parse_label_config
from tests.conftest import every_prediction

CLASSES = ["ants", "bees"]
TITLE = "Active learning"


class Backend(BaseHTTPRequestHandler):
    """An ML backend that is content with everything."""

    def answer(self) -> None:
        """Answer anything with the same."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"status": "UP", "model_version": "al-0"}'
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    """The address of an ML backend that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(studio: LabelStudio) -> Iterator[int]:
    """A project of three tasks."""
    made = studio.request("POST", "/api/projects", json={"title": "Contract", "label_config": label_config(CLASSES)})
    tasks = [{"data": {"image": f"https://images.example/{n}.jpg"}} for n in range(3)]
    studio.request("POST", f"/api/projects/{made['id']}/import", json=tasks)
    yield made["id"]
    studio.request("DELETE", f"/api/projects/{made['id']}/")


@pytest.fixture
def tasks(studio: LabelStudio, project: int) -> list[int]:
    """Its tasks."""
    return sorted(task["id"] for page in studio.tasks(project) for task in page)


def prediction(task: int, score: float | None, choice: str = "ants", version: str = "al-1-0a0b0c") -> dict:
    """A prediction as an import takes it."""
    value = {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
    return {"task": task, "result": [value], "score": score, "model_version": version}


def annotate(studio: LabelStudio, task: int, **body: object) -> int:
    """Submit an annotation; returns its id."""
    return studio.request("POST", f"/api/tasks/{task}/annotations/", json={"result": prediction(task, 0)["result"]} | body)[
        "id"
    ]


def task_of(studio: LabelStudio, task: int) -> dict:
    """A task as the API gives it."""
    return studio.request("GET", f"/api/tasks/{task}/")


def served(studio: LabelStudio, project: int) -> int:
    """The task that is served next, 0 for none."""
    try:
        return studio.request("GET", f"/api/projects/{project}/next")["id"]
    except LabelStudioError as error:
        if error.status != 404:
            raise
        return 0


def test_a_new_project_may_be_answered_with_nothing_in_sequence(studio, project):
    found = studio.project(project)
    expected = {"enable_empty_annotation": True, "sampling": "Sequential sampling", "show_collab_predictions": True}
    assert expected.items() <= found.items()
    assert not found["model_version"]
    assert found["task_number"] == 3


def test_settings_are_changed_and_kept(studio, project):
    studio.patch_project(project, enable_empty_annotation=False, sampling="Uncertainty sampling")
    found = studio.project(project)
    assert (found["enable_empty_annotation"], found["sampling"]) == (False, "Uncertainty sampling")


def test_a_project_that_is_not_there_is_404(studio):
    with pytest.raises(LabelStudioError) as refused:
        studio.project(987_654)
    assert refused.value.status == 404


def test_an_import_tells_how_many_it_kept(studio, project, tasks):
    assert studio.import_predictions(project, [prediction(task, 0.1) for task in tasks]) == 3
    stored = every_prediction(studio, project)
    assert {p["task"] for p in stored} == set(tasks)
    assert {p["model_version"] for p in stored} == {"al-1-0a0b0c"}
    assert studio.prediction_counts(project) == {"al-1-0a0b0c": 3}


def test_predictions_are_listed_by_the_names_of_their_versions(studio, project, tasks):
    for version, of in (
        ("foreign", tasks),
        ("al-1-0a0b0c", tasks[:2]),
        ("al-1-0a0b0cd", tasks[2:]),
        ("al-2-0a0b0c", tasks[1:]),
    ):
        studio.import_predictions(project, [prediction(task, 0.1) | {"model_version": version} for task in of])
    of_one = studio.predictions(project, "al-1-0a0b0c")
    assert sorted((p["task"], p["model_version"]) for p in of_one) == [(task, "al-1-0a0b0c") for task in tasks[:2]]
    of_two = studio.predictions(project, "al-1-0a0b0c", "al-2-0a0b0c")
    assert len(of_two) == 4
    assert {"id", "task", "model_version", "score", "result"} <= of_two[0].keys()
    assert studio.predictions(project) == []
    assert studio.predictions(project, "al-9-0a0b0c") == []


@pytest.mark.parametrize("wrong", [{"score": 1.5}, {"score": -0.5}, {"choice": "wasps"}])
def test_an_import_drops_wrong_scores_and_unknown_labels_without_a_word(studio, project, tasks, wrong):
    bad = prediction(tasks[0], **({"score": 0.5} | wrong))
    assert studio.import_predictions(project, [bad, prediction(tasks[1], 0.5)]) == 1
    assert [p["task"] for p in every_prediction(studio, project)] == [tasks[1]]


def test_an_import_with_an_unknown_task_is_refused_whole(studio, project, tasks):
    with pytest.raises(LabelStudioError) as refused:
        studio.import_predictions(project, [prediction(tasks[0], 0.1), prediction(987_654, 0.2)])
    assert refused.value.status == 400
    assert every_prediction(studio, project) == []


def test_an_import_made_twice_is_stored_twice(studio, project, tasks):
    for _ in range(2):
        studio.import_predictions(project, [prediction(tasks[0], 0.1)])
    assert len(studio.task_predictions(tasks[0])) == 2


def test_an_empty_result_is_stored_and_ordered(studio, project, tasks):
    assert studio.import_predictions(project, [prediction(tasks[0], 0.1) | {"result": []}]) == 1
    assert [(p["result"], p["score"]) for p in every_prediction(studio, project)] == [([], 0.1)]


def test_a_score_may_be_changed_to_anything(studio, project, tasks):
    studio.import_predictions(project, [prediction(tasks[0], 0.1)])
    (stored,) = every_prediction(studio, project)
    studio.set_score(stored["id"], -0.5)
    assert every_prediction(studio, project)[0]["score"] == -0.5


def test_deleting_a_prediction_twice_is_fine(studio, project, tasks):
    studio.import_predictions(project, [prediction(tasks[0], 0.1)])
    (stored,) = every_prediction(studio, project)
    studio.delete_prediction(stored["id"])
    studio.delete_prediction(stored["id"])
    assert every_prediction(studio, project) == []


def test_a_model_version_that_nothing_has_is_refused(studio, project):
    with pytest.raises(LabelStudioError, match="Model version doesn't exist") as refused:
        studio.patch_project(project, model_version="al-9-0a0b0c")
    assert refused.value.status == 400


def test_hiding_predictions_empties_the_model_version(studio, project, tasks):
    studio.import_predictions(project, [prediction(tasks[0], 0.1)])
    studio.patch_project(project, model_version="al-1-0a0b0c")
    studio.patch_project(project, show_collab_predictions=False)
    assert studio.project(project)["model_version"] == ""


def test_tasks_are_served_by_score_among_the_live_version(studio, project, tasks):
    scores = dict(zip(tasks, (0.3, 0.1, 0.2), strict=True))
    studio.import_predictions(project, [prediction(task, score) for task, score in scores.items()])
    studio.import_predictions(project, [prediction(tasks[0], 0.0, version="al-2-0a0b0c")])
    studio.patch_project(project, sampling="Uncertainty sampling", model_version="al-1-0a0b0c")
    order = []
    while task := served(studio, project):
        order.append(task)
        annotate(studio, task)
    assert order == [tasks[1], tasks[2], tasks[0]]


def test_an_empty_answer_counts_as_a_label_and_only_its_deletion_serves_the_task_again(studio, project, tasks):
    annotation = annotate(studio, tasks[0], result=[])
    assert served(studio, project) == tasks[1]
    (stored,) = studio.request("GET", f"/api/tasks/{tasks[0]}/annotations/")
    assert stored["result"] == []
    studio.request("DELETE", f"/api/annotations/{annotation}/")
    for task in tasks[1:]:
        annotate(studio, task)
    assert served(studio, project) == tasks[0]


def test_annotations_tell_what_ask_again_must_know(studio, tasks):
    annotate(studio, tasks[0], result=[], ground_truth=True)
    (stored,) = studio.request("GET", f"/api/tasks/{tasks[0]}/annotations/")
    assert stored["ground_truth"] is True
    assert stored["was_cancelled"] is False
    assert stored["import_id"] is None
    assert {"id", "completed_by", "created_at", "lead_time"} <= set(stored)


def test_listed_tasks_say_who_answered_when_and_how_many_people_are_wanted(studio, project, tasks):
    annotate(studio, tasks[0], lead_time=2.5)
    (page,) = studio.tasks(project)
    first, second, _ = sorted(page, key=lambda t: t["id"])
    (given,) = first["annotations"]
    assert given["completed_by"] == studio.whoami()["id"]
    assert given["lead_time"] == 2.5
    assert datetime.fromisoformat(given["created_at"])
    assert [(t["overlap"], t["is_labeled"]) for t in (first, second)] == [(1, True), (1, False)]


def test_a_task_is_asked_again_by_its_overlap_with_is_labeled_and_never_by_its_overlap_alone(studio, project, tasks):
    annotate(studio, tasks[0])
    studio.request("PATCH", f"/api/tasks/{tasks[0]}/", json={"overlap": 2})
    assert task_of(studio, tasks[0])["is_labeled"] is True
    (page,) = studio.tasks(project)
    newest = max(task["updated_at"] for task in page)
    studio.ask_more(tasks[0], 2)
    asked = task_of(studio, tasks[0])
    assert (asked["overlap"], asked["is_labeled"]) == (2, False)
    assert asked["updated_at"] > newest  # so that the next sync reads it
    assert served(studio, project) == tasks[1]  # who has answered it is not asked again


def test_a_project_that_wants_several_people_wants_them_for_each_task(studio, project, tasks):
    studio.patch_project(project, maximum_annotations=2)
    annotate(studio, tasks[0])
    assert [(task_of(studio, t)["overlap"], task_of(studio, t)["is_labeled"]) for t in tasks[:2]] == [(2, False), (2, False)]


def test_people_are_listed_with_what_they_are_called(studio):
    person = studio.whoami()
    assert studio.people()[person["id"]] == person["email"]


def test_listed_tasks_carry_their_annotations(studio, project, tasks):
    annotate(studio, tasks[1])
    (page,) = studio.tasks(project)
    assert [len(task["annotations"]) for task in sorted(page, key=lambda t: t["id"])] == [0, 1, 0]
    given = next(task["annotations"][0] for task in page if task["annotations"])
    assert given["result"][0]["value"]["choices"] == ["ants"]


def test_what_changed_since_is_listed_alone(studio, project, tasks):
    (page,) = studio.tasks(project)
    newest = max(task["updated_at"] for task in page)
    (late,) = studio.tasks(project, newest)
    assert {task["id"] for task in late} == set(tasks)  # an overlap of a minute
    (none,) = studio.tasks(project, "2999-01-01T00:00:00.000000Z")
    assert none == []


def test_the_first_and_the_last_task_are_told_without_a_list(studio, project, tasks):
    assert [task["id"] for task in studio.outermost_tasks(project)] == [min(tasks), max(tasks)]


def test_tasks_are_listed_and_counted_by_a_range_of_ids(studio, project, tasks):
    annotate(studio, tasks[1])
    (page,) = studio.tasks_between(project, tasks[0] + 1, tasks[1])
    assert [(task["id"], len(task["annotations"])) for task in page] == [(tasks[1], 1)]
    assert studio.count_between(project, tasks[0], tasks[1]) == 2
    assert studio.count_between(project, tasks[2] + 1, tasks[2] + 9) == 0


def test_which_of_some_tasks_are_there_is_told(studio, project, tasks):
    assert studio.there(project, [tasks[2], 10**9, tasks[0]]) == {tasks[0], tasks[2]}


def test_a_project_counts_its_labels_and_not_its_skips(studio, project, tasks):
    annotate(studio, tasks[0], was_cancelled=True)
    assert studio.project(project)["total_annotations_number"] == 0
    annotate(studio, tasks[1], ground_truth=True)
    assert studio.project(project)["total_annotations_number"] == 1


def test_the_data_of_tasks_are_asked_for_by_their_ids(studio, project, tasks):
    (page,) = studio.tasks(project)
    data = {task["id"]: task["data"] for task in page}
    assert studio.task_data(project, [tasks[2], tasks[0], 10**9]) == {task: data[task] for task in (tasks[0], tasks[2])}


def test_a_task_whose_data_cannot_be_encoded_fails_its_page_and_not_the_list_of_ids(studio, project, tasks, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: None)  # between tries
    task = {"data": {"image": "https://images.example/odd.jpg", "note": "\ud800"}}
    sent = {"content": json.dumps([task]).encode(), "headers": {"Content-Type": "application/json"}}
    studio.request("POST", f"/api/projects/{project}/import", **sent)
    lost: dict[int, str] = {}
    (page,) = studio.tasks(project, lost=lost)
    assert [found["id"] for found in page] == tasks
    assert set(lost) == {task["id"] for task in studio.outermost_tasks(project)} - set(tasks)
    assert len(lost) == 1


def test_choices_laid_out_in_views_and_aliases_are_classes(studio, project, tasks):
    config = (
        '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
        '<View><Choice value="Ants" alias="ants"/></View><View><View><Choice value="bees"/></View></View></Choices></View>'
    )
    studio.patch_project(project, label_config=config)
    assert parse_label_config(studio.project(project)["label_config"]).classes == ("ants", "bees")
    named = [prediction(tasks[0], 0.1, "ants"), prediction(tasks[1], 0.2, "bees"), prediction(tasks[2], 0.3, "Ants")]
    assert studio.import_predictions(project, named) == 2


def test_release_and_clock_are_told_without_a_token(studio):
    found = ask_installation(studio.url, 30)
    assert found.release in TESTED
    assert abs((datetime.now(UTC) - found.moment).total_seconds()) < 30


def test_a_form_without_name_and_password_says_whether_sign_up_is_open(studio):
    assert sign_up_is_open(studio.url, 30) in (True, False)


def test_the_token_is_of_somebody_with_an_organization(studio):
    assert studio.request("GET", "/api/current-user/whoami", dict)["active_organization"]


def test_a_backend_or_webhook_with_a_field_that_no_value_fits_is_never_added(studio, project):
    assert refuses_private_address(studio, project, "http://localhost:1") == ""
    assert studio.request("GET", "/api/webhooks/", params={"project": project}) == []
    assert studio.request("GET", "/api/ml", params={"project": project}) == []


def test_a_change_of_nothing_changes_nothing(studio, project):
    before = studio.project(project)
    studio.patch_project(project)
    assert studio.project(project) == before


def test_a_webhook_host_needs_a_dot(studio, project):
    with pytest.raises(LabelStudioError, match="Enter a valid URL") as refused:
        studio.request("POST", "/api/webhooks/", json={"project": project, "url": "http://server:9090/webhook"})
    assert refused.value.status == 400
    assert studio.request("GET", "/api/webhooks/", params={"project": project}) == []


def test_a_backend_that_answers_brings_a_webhook_without_credentials_and_names_the_model_version(studio, project, backend):
    wanted = {"project": project, "url": backend, "title": TITLE, "auth_method": "BASIC_AUTH"}
    studio.request("POST", "/api/ml", json=wanted | {"basic_auth_user": "u", "basic_auth_pass": "p"})
    (made,) = studio.request("GET", "/api/ml", params={"project": project})
    assert (made["url"], made["title"]) == (backend, TITLE)
    assert "basic_auth_pass" not in made
    (hook,) = studio.request("GET", "/api/webhooks/", params={"project": project})
    assert (hook["url"], hook["headers"], hook["project"]) == (f"{backend}/webhook", {}, project)
    assert studio.project(project)["model_version"] == TITLE


def test_a_changed_backend_leaves_its_webhook_as_it_was(studio, project, backend):
    studio.request("POST", "/api/ml", json={"project": project, "url": backend, "title": TITLE})
    (made,) = studio.request("GET", "/api/ml", params={"project": project})
    other = backend.replace("127.0.0.1", "localhost")
    studio.request("PATCH", f"/api/ml/{made['id']}", json={"project": project, "url": other, "title": TITLE})
    (hook,) = studio.request("GET", "/api/webhooks/", params={"project": project})
    assert hook["url"] == f"{backend}/webhook"
    studio.request("DELETE", f"/api/ml/{made['id']}")
    assert studio.request("GET", "/api/ml", params={"project": project}) == []
    assert len(studio.request("GET", "/api/webhooks/", params={"project": project})) == 1


def test_a_backend_that_nobody_answers_at_is_refused_in_words_that_say_nothing_of_that(studio, project):
    with pytest.raises(LabelStudioError, match="HTTPConnectionPool") as refused:
        studio.request("POST", "/api/ml", json={"project": project, "url": "http://127.0.0.1:1", "title": TITLE})
    assert refused.value.status == 400
    assert studio.request("GET", "/api/ml", params={"project": project}) == []


def test_deleting_all_predictions_leaves_the_model_version_pointing_at_nothing(studio, project, tasks):
    studio.import_predictions(project, [prediction(task, 0.1) for task in tasks])
    studio.patch_project(project, model_version="al-1-0a0b0c")
    params = {"id": "delete_tasks_predictions", "project": project}
    selected = {"selectedItems": {"all": True, "excluded": []}, "filters": {"conjunction": "and", "items": []}}
    studio.request("POST", "/api/dm/actions", params=params, json=selected | {"ordering": []})
    assert every_prediction(studio, project) == []
    assert studio.project(project)["model_version"] == "al-1-0a0b0c"


def test_deleting_a_version_whole_empties_the_model_version(studio, project, tasks):
    studio.import_predictions(project, [prediction(task, 0.1) for task in tasks])
    studio.patch_project(project, model_version="al-1-0a0b0c")
    studio.request("DELETE", f"/api/projects/{project}/model-versions/", json={"model_version": "al-1-0a0b0c"})
    assert studio.project(project)["model_version"] is None


def test_a_data_manager_tab_is_made_listed_changed_and_deleted(studio, project):
    data = {"title": "Queue", "type": "list", "target": "tasks", "ordering": ["tasks:predictions_score"]}
    made = studio.request("POST", "/api/dm/views/", json={"project": project, "data": data})
    listed = studio.request("GET", "/api/dm/views/", params={"project": project})
    assert [(view["id"], view["data"]["title"]) for view in listed] == [(made["id"], "Queue")]
    assert listed[0]["data"]["ordering"] == ["tasks:predictions_score"]
    studio.request("DELETE", f"/api/dm/views/{made['id']}/")
    assert studio.request("GET", "/api/dm/views/", params={"project": project}) == []


def test_predictions_become_annotations_once_with_the_very_result_that_they_have(studio, project, tasks):
    marked = prediction(tasks[0], 0.9, version="al-accepted")
    marked["result"][0]["al_accepted"] = {"value": marked["result"][0]["value"], "version": "al-1-0a0b0c", "error": 0.02}
    others = [prediction(tasks[0], 0.1), prediction(tasks[1], 0.9, version="al-accepted")]
    assert studio.import_predictions(project, [marked, *others]) == 3
    for _ in range(2):
        studio.annotate_by_predictions(project, "al-accepted", [tasks[0]])
    (made,) = studio.annotations(tasks[0])
    assert made["result"] == marked["result"]
    assert studio.annotations(tasks[1]) == []
    assert task_of(studio, tasks[0])["is_labeled"] is True


def test_an_annotation_may_go_while_the_prediction_that_it_came_from_stays_and_both_may(studio, project, tasks):
    studio.import_predictions(project, [prediction(tasks[0], 0.9, version="al-accepted")])
    studio.annotate_by_predictions(project, "al-accepted", [tasks[0]])
    studio.delete_annotation(studio.annotations(tasks[0])[0]["id"])
    assert [one["model_version"] for one in every_prediction(studio, project)] == ["al-accepted"]
    studio.annotate_by_predictions(project, "al-accepted", [tasks[0]])
    studio.delete_prediction(every_prediction(studio, project)[0]["id"])
    assert len(studio.annotations(tasks[0])) == 1
