"""What `connect` looks at before it changes anything, and what it says where that is not as it must be."""

import threading

import pytest
from rq import Worker

from backend.connection import checks
from backend.connection.checks import CannotConnect
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.queue.work import TRAIN
from tests.backend.connection.made_up import LIVE, TWO
from tests.backend.queue.test_worker import wait_for


def changed_nothing(desk, error, match, **wishes):
    """Connecting is refused before anything was changed."""
    before = desk.there()
    with pytest.raises(error, match=match):
        desk.connect(**wishes)
    assert desk.there() == before
    assert {request.method for request in desk.label_studio.requests if "token" not in request.path} <= {"GET"}


def test_nobody_at_the_address_is_said(desk):
    changed_nothing(
        desk, CannotConnect, r"http://127.0.0.1:1: nobody listens there.*backend up", backend_url="http://127.0.0.1:1"
    )


def test_another_plugin_at_the_address_is_said(desk, serve):
    changed_nothing(desk, CannotConnect, "another DATA_DIR answers there", backend_url=serve("another").url)


def test_a_web_site_at_the_address_is_said(desk):
    changed_nothing(desk, CannotConnect, "another service answers there", backend_url=desk.label_studio.url)


def test_a_host_without_a_dot_is_told_before_anything_is_made(desk):
    changed_nothing(desk, CannotConnect, "BACKEND_URL=http://server.internal:9090", backend_url="http://server:9090")


def test_an_address_that_only_label_studio_can_reach_is_left_to_it(desk):
    port = int(desk.plugin.url.rsplit(":", 1)[1])
    with pytest.raises(LabelStudioError, match="Label Studio cannot reach BACKEND_URL"):
        desk.connect(backend_url="http://no-such-host.invalid:9090", port=port)
    assert any("Label Studio is asked to try it" in line for line in desk.said)


def test_no_worker_is_said(desk):
    desk.work.redis.flushall()
    changed_nothing(desk, CannotConnect, "No worker takes jobs")


def test_a_worker_that_is_just_starting_is_waited_for(desk, monkeypatch):
    monkeypatch.setattr(checks, "WORKER_SECONDS", 10)
    desk.work.redis.flushall()
    worker, waiting = Worker([TRAIN], connection=desk.work.redis), "Waiting for a worker to start ..."

    def start():
        wait_for(lambda: waiting in desk.said, 30)
        worker.register_birth()

    threading.Thread(target=start).start()
    desk.connect()
    assert desk.said.count(waiting) == 1


@pytest.mark.parametrize("strategy", ["os:getcwd", "nonsense", "no_such_module:f", "json:dumps"])
def test_a_strategy_that_cannot_work_is_not_stored(desk, strategy):
    changed_nothing(desk, (CannotConnect, ValueError), "strategy", strategy=strategy)


@pytest.mark.parametrize("strategy", ["bait+distinct", "badge", "bald", "typiclust", "entropy+balanced"])
def test_our_own_strategies_are_stored(desk, strategy):
    desk.connect(strategy=strategy)
    assert desk.state.strategy == strategy


def test_a_network_that_is_not_there_is_not_stored(desk):
    changed_nothing(desk, CannotConnect, "--backbone resnet51: There is no network 'resnet51'.", backbone="resnet51")


def test_weights_that_are_not_there_are_not_stored(desk, tmp_path):
    wish = f"resnet50={tmp_path / 'absent.pth'}"
    changed_nothing(desk, CannotConnect, "absent.pth", backbone=wish)


def test_a_backbone_that_is_there_is_stored_with_the_whole_path_of_its_file(desk, weights, monkeypatch):
    monkeypatch.chdir(weights.parent)
    desk.connect(backbone=f"resnet50={weights.name}")
    assert desk.state.backbone == f"resnet50={weights.resolve()}"
    assert not desk.state.forced


def test_another_backbone_of_a_project_with_a_queue_is_made_beside(desk, weights):
    desk.connect()
    desk.connect(backbone=f"resnet50={weights}", force=True)
    assert desk.state.forced
    assert desk.work.job(f"migrate-{desk.project}-0")
    assert any(line.startswith(f"Backbone: resnet50={weights.resolve()} is wanted") for line in desk.said)


def test_a_network_that_cannot_be_retrained_is_refused_where_it_is_to_be(desk, monkeypatch):
    monkeypatch.setattr("model.networks.torch_backbone.load_module", lambda _: None)
    changed_nothing(desk, CannotConnect, "vgg16 cannot be retrained on labels", backbone="vgg16", finetune="last")
    desk.connect(backbone="vgg16", finetune="off")
    assert desk.state.backbone == "vgg16"


def test_connecting_again_asks_for_no_other_backbone(desk):
    desk.connect()
    desk.connect()
    assert desk.work.job(f"migrate-{desk.project}-0") is None


def test_images_that_cannot_be_read_are_said_before_anything_is_changed(desk):
    desk.label_studio.files.clear()
    changed_nothing(desk, CannotConnect, "No image can be read, of 3 that were tried. task ")


def test_one_image_that_cannot_be_read_costs_itself_alone(desk):
    client = desk.label_studio.client()
    client.request("POST", f"/api/projects/{desk.project}/import", json=[{"data": {"image": "/data/upload/1/gone.png"}}])
    desk.connect()
    assert any("Images: 1 of 4 tried cannot be read; task " in line for line in desk.said)


def test_a_project_without_tasks_can_be_connected(desk):
    for task in desk.label_studio.task_ids(desk.project):
        desk.label_studio.client().request("DELETE", f"/api/tasks/{task}/")
    with desk.projects.edit(desk.project) as state:
        state.live = LIVE
    desk.worker = lambda _: []
    desk.connect()
    assert desk.state.connected


def test_a_second_plugin_on_the_project_is_told_and_changes_nothing(desk, serve):
    other = serve("the other one")
    client = desk.label_studio.client()
    client.request("POST", "/api/ml", json={"project": desk.project, "url": other.url, "title": "Active learning"})
    before = desk.there()
    with pytest.raises(CannotConnect, match=f"another active-learning plugin, at {other.url}"):
        desk.connect()
    assert desk.there() == before


def test_a_backend_of_our_title_that_nobody_answers_at_is_named_and_left(desk):
    row = {"id": 99, "project": desk.project, "url": "http://127.0.0.1:1", "title": "Active learning"}
    desk.label_studio.backends[99] = row
    desk.connect()
    assert 99 in desk.label_studio.backends
    assert any("Nobody answers at http://127.0.0.1:1" in line for line in desk.said)


def test_both_questions_are_named_and_one_is_chosen(desk):
    desk.label_studio.projects[desk.project]["label_config"] = TWO
    desk.connect(control="species")
    text = "\n".join(desk.said)
    assert "3 classes" in text
    assert "species" in text
    assert "quality" in text
    assert desk.state.control == "species"


def test_the_choice_of_a_control_is_remembered(desk):
    desk.label_studio.projects[desk.project]["label_config"] = TWO
    desk.connect(control="species")
    desk.said.clear()
    desk.connect()
    assert any("3 classes" in line for line in desk.said)


def test_a_control_that_is_not_there_is_refused(desk):
    changed_nothing(desk, LabelConfigError, "no control named", control="nonsense")


def test_missing_required_is_named_where_other_controls_stand_beside_ours(desk):
    desk.label_studio.projects[desk.project]["label_config"] = TWO
    desk.connect()
    assert any('required="true"' in line for line in desk.said)
