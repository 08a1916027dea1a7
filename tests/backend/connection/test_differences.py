"""What people change by hand in a connected project is noticed, each thing by its kind."""

import pytest

from backend.bench.label_studio import label_config
from backend.connection.differences import WANTED, differences
from backend.labelstudio.wiring import TITLE, Wiring
from backend.records.state import ProjectState

URL, LIVE = "http://127.0.0.1:9090", "al-3-abc012"


@pytest.fixture
def connected(label_studio):
    """A project as `connect` leaves it, with two tasks published."""
    project = label_studio.add_project(
        label_config(["a", "b"]), ["https://images.example/1.jpg", "https://images.example/2.jpg"]
    )
    row = {"project": project, "url": URL, "title": TITLE}
    label_studio.backends[1] = {"id": 1} | row
    hook = {"is_active": True, "send_for_all_actions": True, "send_payload": True, "headers": {}}
    label_studio.webhooks[1] = {"id": 1} | row | {"url": f"{URL}/webhook"} | hook
    client = label_studio.client()
    sent = [{"task": task, "result": [], "score": 0.1, "model_version": LIVE} for task in label_studio.task_ids(project)]
    client.import_predictions(project, sent)
    client.patch_project(project, model_version=LIVE, **WANTED)
    return project


def kinds(label_studio, project, **state):
    """The kinds of difference there are."""
    client = label_studio.client()
    found = differences(
        Wiring(client, project, URL),
        ProjectState(connected=True, **({"live": LIVE} | state)),
        client.project(project),
        client.prediction_counts(project),
        label_studio.task_ids(project),
    )
    assert all(difference.text for difference in found)
    return [difference.kind for difference in found]


def test_a_project_as_connect_left_it_has_none(label_studio, connected):
    assert kinds(label_studio, connected) == []


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("sampling", "Sequential sampling", "sampling"),
        ("enable_empty_annotation", True, "empty answers"),
        ("min_annotations_to_start_training", 5, "training"),
        ("model_version", "", "model version"),
        ("model_version", None, "model version"),
    ],
)
def test_a_setting_changed_by_hand_is_noticed(label_studio, connected, field, value, kind):
    label_studio.projects[connected][field] = value
    assert kinds(label_studio, connected) == [kind]


def test_a_deleted_backend_is_noticed(label_studio, connected):
    label_studio.backends.clear()
    assert kinds(label_studio, connected) == ["backend"]


def test_a_backend_at_another_address_is_noticed_with_the_twin_it_may_be(label_studio, connected):
    label_studio.backends[1]["url"] = "http://127.0.0.1:9999"
    assert kinds(label_studio, connected) == ["backend", "twin"]


def test_a_deleted_webhook_is_noticed(label_studio, connected):
    label_studio.webhooks.clear()
    assert kinds(label_studio, connected) == ["webhook"]


@pytest.mark.parametrize(
    "change", [{"is_active": False}, {"send_for_all_actions": False}, {"send_payload": False}, {"headers": {"a": "b"}}]
)
def test_a_webhook_that_does_not_do_is_noticed(label_studio, connected, change):
    label_studio.webhooks[1].update(change)
    assert kinds(label_studio, connected) == ["webhook"]


def test_deleted_predictions_are_noticed(label_studio, connected):
    label_studio.predictions.clear()
    assert kinds(label_studio, connected) == ["predictions"]


def test_before_anything_is_published_no_version_is_missed(label_studio, connected):
    label_studio.projects[connected]["model_version"] = ""
    assert kinds(label_studio, connected, live="") == []
