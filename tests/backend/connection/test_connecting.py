"""Connecting a project: checked before anything is changed, whole or not at all, and undone by disconnecting."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from rq import Worker

from backend.bench.label_studio import label_config
from backend.connection import checks
from backend.connection.answering import PLUGIN
from backend.connection.checks import CannotConnect
from backend.connection.connecting import Wishes, connect, disconnect, forget
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.project.state import Projects
from backend.queue.work import TRAIN
from tests.label_studio_in_memory import TOKEN, Fault

LIVE = "al-1-abc012"
TWO = (
    '<View><Image name="img" value="$image"/><Choices name="quality" toName="img"><Choice value="ok"/><Choice value="blurry"/>'
    '</Choices><Choices name="species" toName="img"><Choice value="fox"/><Choice value="hare"/><Choice value="owl"/>'
    "</Choices></View>"
)


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


class Plugin:
    """A server that says who it is at /health and agrees to every /setup, at two addresses."""

    def __init__(self, identity):
        body = json.dumps({"status": "UP", "plugin": PLUGIN, "identity": identity, "model_version": "al-0"}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url, self.other_url = (f"http://{host}:{self.server.server_port}" for host in ("127.0.0.1", "localhost"))
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def serve():
    """Start plugins by their identity."""
    running = []

    def start(identity):
        running.append(Plugin(identity))
        return running[-1]

    yield start
    for plugin in running:
        plugin.server.shutdown()
        plugin.server.server_close()


class Desk:
    """Someone who connects a project: what is said to them, and a worker that publishes at once, or fails."""

    def __init__(self, label_studio, settings, work, plugin):
        self.label_studio, self.settings, self.work, self.plugin = label_studio, settings, work, plugin
        self.projects = Projects(settings.data_dir)
        self.said, self.jobs = [], []
        self.fails = None
        image = "/data/upload/1/a.png"
        label_studio.files[image] = png()
        self.project = label_studio.add_project(label_config(["ants", "bees"]), [image] * 3)

    def worker(self, job_id):
        """What `follow` does, with a worker that is done at once."""
        self.jobs.append(job_id)
        if self.fails:
            raise self.fails
        client, tasks = self.label_studio.client(), self.label_studio.task_ids(self.project)
        if tasks and LIVE not in client.prediction_counts(self.project):
            sent = [{"task": task, "result": [], "score": 0.1, "model_version": LIVE} for task in tasks]
            client.import_predictions(self.project, sent)
        client.patch_project(self.project, model_version=LIVE)
        with self.projects.edit(self.project) as state:
            state.live = LIVE
        return {"version": LIVE, "published": len(tasks)}

    def connect(self, **wishes):
        values = {"backend_url": self.plugin.url} | {k: wishes.pop(k) for k in list(wishes) if k in ("backend_url", "port")}
        settings = self.settings.model_copy(update=values)
        return connect(settings, self.work, self.project, self.said.append, self.worker, Wishes(**wishes))

    def disconnect(self):
        settings = self.settings.model_copy(update={"backend_url": self.plugin.url})
        disconnect(settings, self.work, self.project, self.said.append)

    @property
    def state(self):
        return self.projects.read(self.project)

    def there(self):
        """Everything that Label Studio and DATA_DIR hold of the project, but for predictions."""
        ls = self.label_studio
        return json.loads(json.dumps([ls.projects, ls.backends, ls.webhooks, ls.views, vars(self.state)], default=str))


@pytest.fixture
def desk(label_studio, make_settings, work, serve, monkeypatch):
    """A running plugin, a registered worker, and a project of three images."""
    monkeypatch.setattr(checks, "WORKER_SECONDS", 0.3)
    settings = make_settings(
        label_studio_url=label_studio.url, label_studio_api_key=TOKEN, basic_auth_user="u", basic_auth_pass="p", port=1
    )
    projects = Projects(settings.data_dir)
    projects.prepare()
    Worker([TRAIN], connection=work.redis).register_birth()
    return Desk(label_studio, settings, work, serve(projects.identity()))


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
    threading.Timer(0.3, Worker([TRAIN], connection=desk.work.redis).register_birth).start()
    desk.connect()
    assert desk.said.count("Waiting for a worker to start ...") == 1


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
    monkeypatch.setattr("model.torch_backbone.load_module", lambda _: None)
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


def test_forgetting_removes_all_that_is_kept(desk):
    desk.connect()
    forget(desk.settings, desk.work, desk.project)
    assert desk.projects.ids() == []
    assert not desk.projects.folder(desk.project).exists()
