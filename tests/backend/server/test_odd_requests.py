"""Requests that make no sense: each gets a sentence and a 4xx; one bad task of a /predict costs itself alone."""

import json

import pytest

from backend.records.state import Projects
from backend.server import bodies
from tests.backend.server.conftest import CONFIG

ODD = [True, False, 0, 1, -1, 1.5, 2**70, 10**30, float("nan"), float("inf"), "", "x", "\ud800", [], [None], {}, {"a": 1}]
NO_TASK = [None, True, 7, 1.5, "x", [], [None]]
NO_ID = [None, True, -1, 1.5, 2**63, 10**30, float("nan"), "x", "1.5", "\ud800", [1], {"id": 1}]
NO_PROJECT = [None, True, 0, -3, 2**63, float("nan"), float("inf"), "", "x", "../1", "1e3", "\ud800", [1], {}, {"id": {}}]


@pytest.fixture
def post(app):
    """Post JSON that may hold anything; returns the status and what was answered."""

    def send(path, body):
        answer = app.post(path, content=json.dumps(body).encode())
        return answer.status_code, answer.json()

    return send


def refused(answer):
    """Whether a request was refused with a sentence."""
    status, body = answer
    return status == 400 and len(body["detail"]) > 10


@pytest.mark.parametrize("tasks", [True, 1, 1.5, "x", {"id": 1}, *([item] for item in NO_TASK)], ids=repr)
def test_tasks_that_are_none_are_refused(post, tasks):
    assert refused(post("/predict", {"tasks": tasks, "project": "1.2", "label_config": CONFIG}))


@pytest.mark.parametrize("bad", [*NO_TASK, *({"id": wrong, "data": {}} for wrong in NO_ID), {}, {"id": 5}], ids=repr)
def test_one_bad_task_leaves_each_task_its_result(post, bad):
    tasks = [{"id": 1, "data": {"image": ""}}, bad, {"id": 2, "data": None}, {"id": 1, "data": {"image": ""}}]
    status, body = post("/predict", {"tasks": tasks, "project": 1, "label_config": CONFIG})
    assert status == 200
    assert [(result["result"], result["score"]) for result in body["results"]] == [([], 1.0)] * 4


def test_a_task_of_another_project_that_is_none_costs_itself_alone(post):
    tasks = [{"id": 1, "data": {}}, {"id": 2, "data": {}, "project": "x"}]
    status, body = post("/predict", {"tasks": tasks, "project": 1, "label_config": CONFIG})
    assert (status, len(body["results"])) == (200, 2)


@pytest.mark.parametrize("project", NO_PROJECT, ids=repr)
@pytest.mark.parametrize("path", ["/predict", "/setup", "/webhook"])
def test_a_project_that_is_none_is_refused_and_makes_no_folder(post, make_settings, path, project):
    body = {"tasks": [{"id": 1}], "project": project, "schema": CONFIG, "action": "START_TRAINING"}
    assert refused(post(path, body))
    assert [path.name for path in Projects(make_settings().data_dir).root.iterdir()] == ["1"]


@pytest.mark.parametrize("config", [True, 1, 1.5, [1], {"a": 1}, float("nan"), "x", "<View", "\ud800", "<View/>"], ids=repr)
def test_a_labelling_config_that_is_none_is_refused(post, config):
    assert refused(post("/setup", {"project": 1, "schema": config}))
    assert refused(post("/predict", {"project": 1, "tasks": [{"id": 1}], "label_config": config}))


@pytest.mark.parametrize("action", ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"])
@pytest.mark.parametrize("annotation", [True, 1, 1.5, "x", [None], [1], ["x"], [[]]], ids=repr)
def test_annotations_that_are_none_are_refused(post, action, annotation):
    assert refused(post("/webhook", {"action": action, "project": 1, "annotation": annotation}))


@pytest.mark.parametrize("annotations", [True, 1, "x", [None], [3]], ids=repr)
def test_deleted_annotations_that_are_none_are_refused(post, annotations):
    assert refused(post("/webhook", {"action": "ANNOTATIONS_DELETED", "project": 1, "annotations": annotations}))


def test_among_annotations_those_that_are_some_count(post):
    status, body = post("/webhook", {"action": "ANNOTATIONS_CREATED", "project": 1, "annotation": [None, {"id": 1}, 3]})
    assert (status, body) == (201, {"job": "round-1-0"})


@pytest.mark.parametrize("action", [value for value in ODD if not isinstance(value, str) and value is not None], ids=repr)
def test_an_action_that_is_no_text_is_refused(post, action):
    assert refused(post("/webhook", {"action": action, "project": 1}))


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("name", ["label_config", "model_version", "min_annotations_to_start_training"])
@pytest.mark.parametrize("action", ["PROJECT_UPDATED", "START_TRAINING"])
def test_settings_of_a_project_may_be_anything(post, action, name, value):
    status, _ = post("/webhook", {"action": action, "project": {"id": 1, name: value}})
    assert status in (201, 400)


DEEP = 200_000
BODIES = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[1]",
    "null": b"null",
    "broken UTF-8": b'{"project": "\xff"}',
    "a zero byte": b"\x00",
    "deep": b'{"project": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a number of a million digits": b'{"project": ' + b"9" * 1_000_000 + b"}",
}


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook", "/versions"])
@pytest.mark.parametrize("kind", BODIES)
def test_bodies_that_are_no_json_object_are_refused(app, path, kind):
    answer = app.post(path, content=BODIES[kind])
    assert refused((answer.status_code, answer.json()))


def test_deep_data_of_a_task_cost_that_task_alone(app):
    deep = b"[" * 500 + b"]" * 500
    config = b'{"project": 1, "label_config": ' + json.dumps(CONFIG).encode()
    body = config + b', "tasks": [{"id": 1, "data": {"image": ' + deep + b'}}, {"id": 2, "data": ' + deep + b"}]}"
    answer = app.post("/predict", content=body)
    assert (answer.status_code, len(answer.json()["results"])) == (200, 2)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/train", 404),
        ("POST", "/setup/", 404),
        ("GET", "/%00%0d%0aX:1", 404),
        ("GET", "/predict", 405),
        ("PUT", "/webhook", 405),
        ("DELETE", "/versions", 405),
        ("POST", "/health", 405),
    ],
)
def test_an_unknown_route_or_method_is_told_which_there_are(app, method, path, status):
    answer = app.request(method, path)
    assert answer.status_code == status
    assert "There are GET /health, POST /setup" in answer.json()["detail"]


@pytest.mark.parametrize("project", ["x", "-1", "0", "9" * 30, "%F0%9F%90%B1"])
def test_versions_of_a_project_that_is_none_are_refused(app, project):
    answer = app.request("GET", f"/versions?project={project}")
    assert refused((answer.status_code, answer.json()))


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "9" * 40])
def test_an_odd_content_length_is_refused(app, length):
    answer = app.post("/webhook", content=b"{}", headers={"Content-Length": length})
    assert answer.status_code in (400, 413)
    assert answer.json()["detail"]


async def pieces(count, size=1000):
    """A body that is sent piece by piece, without its length."""
    for _ in range(count):
        yield b" " * size


def test_a_body_too_large_is_refused_by_its_length(app, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 10_000)
    answer = app.post("/predict", content=b" " * 10_001)
    assert answer.status_code == 413
    assert "select fewer tasks" in answer.json()["detail"]


def test_a_body_too_large_is_refused_while_it_arrives(app, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 10_000)
    assert app.post("/predict", content=pieces(11)).status_code == 413
    assert app.post("/predict", content=pieces(9)).status_code == 400  # large enough, but no JSON
