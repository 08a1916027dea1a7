"""Connecting a project: checked before anything is changed, whole or not at all, and undone by disconnecting."""

import base64

import pytest

from backend.connection.checks import CannotConnect
from backend.connection.connecting import forget
from backend.labelstudio.client import LabelStudioError
from tests.backend.connection.made_up import LIVE
from tests.label_studio_in_memory import Fault


def test_connecting_makes_everything(desk):
    desk.connect()
    project = desk.label_studio.projects[desk.project]
    assert (project["sampling"], project["enable_empty_annotation"]) == ("Uncertainty sampling", False)
    assert [row["url"] for row in desk.label_studio.backends.values()] == [desk.plugin.url]
    token = base64.b64encode(b"u:p").decode()
    assert [row["headers"] for row in desk.label_studio.webhooks.values()] == [{"Authorization": f"Basic {token}"}]
    assert [row["data"]["title"] for row in desk.label_studio.views.values()] == ["Default", "Queue"]
    assert desk.state.connected
    assert desk.jobs[0].startswith("round-")


def test_connecting_twice_changes_nothing(desk):
    desk.connect()
    before = desk.there()
    desk.connect()
    assert desk.there() == before


def test_the_second_time_only_what_differs_is_changed(desk):
    desk.connect()
    with desk.projects.edit(desk.project) as state:
        state.target = {
            "from_name": "choice", "to_name": "image", "data_key": "image", "classes": ["ants", "bees"],
        }  # fmt: skip
    desk.connect()
    assert desk.jobs[-1].startswith("reconcile-")


def test_what_was_changed_by_hand_is_put_right(desk):
    desk.connect()
    before = desk.there()
    desk.label_studio.projects[desk.project].update(sampling="Sequential sampling", enable_empty_annotation=True)
    desk.label_studio.webhooks.clear()
    desk.label_studio.backends.clear()
    desk.connect()
    after = desk.there()
    assert after[0] == before[0]
    assert [len(rows) for rows in after[1:4]] == [1, 1, 2]


def test_disconnecting_puts_back_what_was_there(desk):
    desk.label_studio.projects[desk.project]["min_annotations_to_start_training"] = 7
    before = desk.there()
    desk.connect()
    desk.disconnect()
    assert desk.there()[:3] == before[:3]
    assert [row["data"]["title"] for row in desk.label_studio.views.values()] == ["Default"]
    assert not desk.state.connected


def test_disconnecting_leaves_the_model_version_that_was_there_before(desk):
    sent = {"task": desk.label_studio.task_ids(desk.project)[0], "result": [], "score": 0.1, "model_version": "theirs"}
    desk.label_studio.client().import_predictions(desk.project, [sent])
    desk.label_studio.client().patch_project(desk.project, model_version="theirs")
    desk.connect()
    desk.disconnect()
    assert desk.label_studio.projects[desk.project]["model_version"] == "theirs"


def test_settings_that_people_chose_survive_connecting_twice_and_disconnecting(desk):
    desk.connect()
    desk.connect()
    desk.disconnect()
    assert desk.label_studio.projects[desk.project]["sampling"] == "Sequential sampling"


def test_disconnecting_a_number_that_is_no_project_keeps_nothing_of_it(desk):
    desk.project = 999
    with pytest.raises(LabelStudioError, match="404"):
        desk.disconnect()
    assert desk.projects.ids() == []


def test_disconnecting_twice_does_no_harm(desk):
    desk.connect()
    desk.disconnect()
    before = desk.there()
    desk.disconnect()
    assert desk.there() == before


def test_a_deleted_project_is_let_go_without_an_error(desk):
    desk.connect()
    desk.label_studio.client().request("DELETE", f"/api/projects/{desk.project}/")
    desk.disconnect()
    assert not desk.state.connected
    assert any("forget" in line for line in desk.said)


def test_another_project_under_a_known_id_starts_from_nothing(desk):
    with desk.projects.edit(desk.project) as state:
        state.connected, state.created_at, state.live = True, "2020-01-01T00:00:00Z", "al-7-abc012"
        state.made = {"backend": 4, "webhook": 5, "view": 6, "url": "http://127.0.0.1:1"}
    desk.connect()
    assert desk.jobs[0].startswith("round-")
    assert desk.state.live == LIVE


def test_another_address_replaces_backend_and_webhook(desk):
    desk.connect()
    desk.connect(backend_url=desk.plugin.other_url)
    assert [row["url"] for row in desk.label_studio.backends.values()] == [desk.plugin.other_url]
    assert [row["url"] for row in desk.label_studio.webhooks.values()] == [f"{desk.plugin.other_url}/webhook"]


def test_an_old_address_is_replaced_even_where_nobody_remembers_it(desk):
    desk.connect()
    with desk.projects.edit(desk.project) as state:
        state.made = {}
    desk.connect(backend_url=desk.plugin.other_url)
    assert [row["url"] for row in desk.label_studio.backends.values()] == [desk.plugin.other_url]


def test_an_address_that_leads_elsewhere_keeps_the_old_one(desk, serve):
    desk.connect()
    before = desk.there()
    with pytest.raises(CannotConnect, match="another DATA_DIR"):
        desk.connect(backend_url=serve("somebody else's").url)
    assert desk.there() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/ml"), ("PATCH", "/api/webhooks/"), ("PATCH", "/api/projects/")],
)
@pytest.mark.parametrize("done", [False, True])
def test_whatever_fails_nothing_is_left_half_made(desk, method, path, done):
    before = desk.there()
    desk.label_studio.faults.append(Fault(method, path, 400, done))
    with pytest.raises(LabelStudioError):
        desk.connect()
    after = desk.there()
    assert after[:4] == before[:4]
    assert not desk.state.connected


@pytest.mark.parametrize("done", [False, True])
def test_a_tab_that_is_refused_costs_itself_alone(desk, done):
    desk.label_studio.faults.append(Fault("POST", "/api/dm/views/", 400, done))
    desk.connect()
    assert desk.state.connected
    desk.connect()
    assert [row["data"]["title"] for row in desk.label_studio.views.values()].count("Queue") == 1


def test_it_tells_where_a_first_queue_did_not_wait_for_all_tasks(desk):
    worker = desk.worker
    desk.worker = lambda job_id: worker(job_id) | {"read": 2}
    desk.connect()
    assert any("2 of 3 tasks" in line for line in desk.said)


@pytest.mark.parametrize("error", [RuntimeError("weights are wrong"), KeyboardInterrupt()])
def test_a_first_queue_that_fails_or_is_given_up_leaves_nothing(desk, error):
    before = desk.there()
    desk.fails = error
    with pytest.raises(type(error)):
        desk.connect()
    assert desk.there()[:4] == before[:4]
    assert not desk.state.connected
    assert not any(queue.scheduled_job_registry.get_job_ids() for queue in desk.work._queues.values())


def test_settings_that_cannot_be_put_back_now_are_put_back_by_the_next_disconnect(desk):
    before, worker = desk.there(), desk.worker

    def fail(_):
        desk.label_studio.faults.append(Fault("PATCH", "/api/projects/", 403, times=99))
        raise RuntimeError("weights are wrong")

    desk.worker = fail
    with pytest.raises(RuntimeError):
        desk.connect()
    assert any(line.startswith("Could not put back the project's settings: ") for line in desk.said)
    desk.label_studio.faults.clear()
    desk.worker = worker
    desk.connect()
    desk.disconnect()
    assert desk.there()[:3] == before[:3]


def test_disconnecting_puts_settings_back_though_something_cannot_be_removed(desk):
    before = desk.there()
    desk.connect()
    desk.label_studio.faults.append(Fault("DELETE", "/api/dm/views/", 403))
    with pytest.raises(LabelStudioError):
        desk.disconnect()
    assert desk.there()[:3] == before[:3]


def test_an_old_address_that_cannot_be_removed_now_goes_with_the_next_connect(desk):
    desk.connect()
    desk.label_studio.faults.append(Fault("DELETE", "/api/webhooks/", 403))
    desk.connect(backend_url=desk.plugin.other_url)
    assert any(line.startswith("What another address left could not be removed") for line in desk.said)
    desk.connect(backend_url=desk.plugin.other_url)
    assert [row["url"] for row in desk.label_studio.backends.values()] == [desk.plugin.other_url]
    assert [row["url"] for row in desk.label_studio.webhooks.values()] == [f"{desk.plugin.other_url}/webhook"]


def test_a_failure_leaves_a_connected_project_connected(desk):
    desk.connect()
    before = desk.there()
    desk.fails = RuntimeError("no")
    with pytest.raises(RuntimeError):
        desk.connect(strategy="entropy")
    assert desk.there() == before


def test_sampling_is_switched_when_the_queue_is_there_and_not_before(desk):
    seen = []
    worker = desk.worker
    desk.worker = lambda job: seen.append(desk.label_studio.projects[desk.project]["sampling"]) or worker(job)
    desk.connect()
    assert seen == ["Sequential sampling"]


def test_forgetting_removes_all_that_is_kept(desk):
    desk.connect()
    forget(desk.settings, desk.work, desk.project)
    assert desk.projects.ids() == []
    assert not desk.projects.folder(desk.project).exists()
