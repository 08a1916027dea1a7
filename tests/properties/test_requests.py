"""Bodies of every route, valid ones spoiled at random and such as make no sense at all: none gets a 5xx, and a /predict always
has a result for each task."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.project import embedding
from backend.queue.redis_server import redis_url
from tests.backend.server.conftest import CONFIG, connected_app, server_settings

TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too
SCALAR = (
    st.none() | st.booleans() | st.integers() | st.integers(-(10**40), 10**40) | st.floats() | TEXT
    | st.sampled_from(["1.2", "", "-1", "al-1-000000", CONFIG])
)  # fmt: skip
ANY = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8)


def spoiled(**valid):
    """A JSON object with some of its parts missing and some replaced by anything."""
    return st.fixed_dictionaries({}, optional={name: part | ANY for name, part in valid.items()})


PROJECT = st.sampled_from([1, "1.1795353865", {"id": 1}, 2])
REGION = spoiled(
    from_name=st.just("choice"), type=st.just("choices"), value=spoiled(choices=st.lists(st.sampled_from("AB"), max_size=2))
)
ANNOTATION = spoiled(id=st.integers(1, 9), was_cancelled=st.booleans(), result=st.lists(REGION, max_size=2))
TASK = spoiled(id=st.integers(1, 3), project=st.just(1), data=spoiled(image=st.just("")))
INFO = spoiled(
    id=st.just(1),
    label_config=st.just(CONFIG),
    model_version=st.just("al-1-000000"),
    min_annotations_to_start_training=st.integers(0, 1),
)
ACTIONS = (
    "START_TRAINING ANNOTATION_CREATED ANNOTATION_UPDATED ANNOTATIONS_CREATED ANNOTATIONS_DELETED TASKS_CREATED TASKS_DELETED "
    "PROJECT_UPDATED DRAFT_CREATED"
)
WEBHOOK = spoiled(
    action=st.sampled_from(ACTIONS.split()),
    project=PROJECT | INFO,
    annotation=ANNOTATION | st.lists(ANNOTATION, max_size=3),
    annotations=st.lists(ANNOTATION, max_size=3),
)
SETUP = spoiled(project=PROJECT, schema=st.just(CONFIG), hostname=st.just(""), access_token=st.just(""))
PREDICT = spoiled(
    tasks=st.lists(TASK | ANY, max_size=4), project=PROJECT, label_config=st.just(CONFIG), params=st.just({"context": None})
)


@pytest.fixture(scope="module")
def app(tmp_path_factory, redis_settings):
    """The server in this process, with project 1 connected. It has no weights, which are not asked for here."""
    with pytest.MonkeyPatch.context() as patch:
        network = SimpleNamespace(
            least_side=256, batch=8, prepare=np.asarray, embed=lambda images: np.zeros((len(images), 2048), np.float32)
        )
        patch.setattr(embedding, "get_backbone", lambda *_: network)
        yield connected_app(server_settings(tmp_path_factory.mktemp("data"), redis_url(redis_settings)))


def told(app, path, body):
    """The answer to `body` in JSON, which must have been given with 2xx, or with 4xx and a sentence."""
    answer = app.post(path, json.dumps(body).encode())
    found = answer.json()
    assert answer.status_code < 300 or (400 <= answer.status_code < 500 and found["detail"])
    return found


@given(body=WEBHOOK | ANY)
def test_a_webhook_is_taken_or_refused(app, body):
    told(app, "/webhook", body)


@given(body=SETUP | ANY)
def test_a_setup_is_taken_or_refused(app, body):
    told(app, "/setup", body)


@given(body=ANY)
def test_a_question_for_versions_is_answered_or_refused(app, body):
    told(app, "/versions", body)


@given(body=PREDICT | ANY)
def test_a_predict_has_a_result_for_each_task_or_is_refused(app, body):
    found = told(app, "/predict", body)
    if "results" in found:
        assert len(found["results"]) == len(body.get("tasks") or [])
        assert all(0.5 <= result["score"] <= 1 for result in found["results"])


def means_nothing(content):
    """Whether no object of JSON is in it."""
    try:
        return not isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return True


@given(
    path=st.sampled_from(["/webhook", "/setup", "/predict", "/versions", "/nothing", "/train"]),
    content=(st.binary(max_size=40) | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))).filter(means_nothing),
)
def test_bytes_that_mean_nothing_are_refused(app, path, content):
    answer = app.post(path, content)
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]
