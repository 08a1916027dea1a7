"""/predict: through our own class, and through the server that label-studio-ml brings."""

import base64
import gc
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from backend.bench.label_studio import label_config
from backend.labelstudio.labelling_config import parse_label_config
from backend.project.embedding import NETWORKS
from backend.records.state import Projects
from backend.server import app as server_app
from backend.server import plugin
from backend.settings import get_settings
from model.backbone_store import BackboneStore
from model.embeddings.embedding_shard import read_keys
from model.heads.head import fit_head
from model.heads.learner import Learner
from model.networks.backbone import backbone_name
from model.version_store import Version, VersionStore
from tests.conftest import ROOT
from tests.e2e.conftest import free_port, wait_until
from tests.model.made_up import DIMENSIONS, resnet50

CONFIG = label_config(["A", "B"])
NAME = "al-1-00000a"


def data_uri(colour):
    """A small image, as a task may carry it."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


TASKS = [{"id": n, "project": 1, "data": {"image": data_uri(c)}} for n, c in enumerate(["red", "green", "blue"], 1)]
BROKEN = {"id": 9, "project": 1, "data": {"image": "data:image/png;base64,AAAA"}}


@pytest.fixture
def environment(tmp_path, weights, networks, monkeypatch):
    """Settings in the environment, and project 1 with a live version."""
    values = {
        "LABEL_STUDIO_URL": "http://127.0.0.1:1",
        "LABEL_STUDIO_API_KEY": "unused",
        "DATA_DIR": str(tmp_path / "data"),
        "MODEL_WEIGHTS": str(weights),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    embeddings = np.random.default_rng(0).normal(size=(20, DIMENSIONS)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    labels = np.arange(20) % 2
    head = fit_head(Learner(embeddings, labels, 2))
    target = parse_label_config(CONFIG).as_dict()
    projects = Projects(tmp_path / "data")
    projects.prepare()
    (tmp_path / "data" / NETWORKS).symlink_to(networks)
    store = VersionStore(projects.folder(1) / "versions")
    store.write(Version(NAME, 0.0, target, backbone_name(resnet50(weights)), "margin", head, np.arange(20), labels, 0))
    with projects.edit(1) as state:
        state.live, state.target = NAME, target
    yield values
    get_settings.cache_clear()


@pytest.fixture
def predict(environment):
    """Predict through the class itself."""
    assert environment
    return lambda tasks, config=CONFIG: plugin.ActiveLearningBackend(label_config=config).predict(tasks)


def test_each_task_gets_a_class_its_probability_a_place_and_the_version(predict):
    for result in predict(TASKS):
        (region,) = result["result"]
        assert region["value"]["choices"][0] in ("A", "B")
        assert 0.5 <= region["score"] <= 1
        assert 0.5 <= result["score"] <= 1
        assert result["model_version"] == NAME


def test_a_broken_image_costs_neither_the_batch_nor_its_place(predict):
    results = predict([TASKS[0], BROKEN, TASKS[1]])
    assert [bool(result["result"]) for result in results] == [True, False, True]
    assert results[1]["score"] == 1.0


def test_a_task_without_an_image_is_last(predict):
    assert predict([{"id": 5, "project": 1, "data": {}}])[0] == {"result": [], "score": 1.0, "model_version": NAME}


def test_a_task_scores_the_same_alone_as_in_a_batch(predict):
    assert predict([TASKS[1]])[0]["score"] == pytest.approx(predict(TASKS)[1]["score"], abs=1e-4)


def test_bad_tasks_among_good_ones_cost_themselves_alone(predict):
    bad = [
        None,
        "x",
        {},
        {"id": "x", "project": 1},
        {"id": 2**70, "project": 1},
        {"id": 4, "project": "x"},
        {"id": 5, "project": 1},
    ]
    tasks = [part for task in bad for part in (task, TASKS[0])]
    assert [bool(result["result"]) for result in predict(tasks)] == [False, True] * len(bad)


def test_a_task_that_comes_twice_has_both_its_results_and_one_embedding(predict, environment):
    once, twice = predict([TASKS[0], TASKS[0]])
    assert once == twice
    assert once["result"]
    embeddings = BackboneStore(Projects(Path(environment["DATA_DIR"])).folder(1), resnet50(Path(environment["MODEL_WEIGHTS"])))
    shards = list(embeddings.embeddings(embeddings.wanted_name).folder.glob("*.safetensors"))
    assert sum(len(read_keys(shard, DIMENSIONS)) for shard in shards) == 1


def test_a_config_that_only_our_parser_takes_is_predicted(predict):
    odd = CONFIG.replace("<View>", "<View><Style>x</Style><Nonsense name='n' toName='nowhere'/>", 1)
    assert all(result["result"] for result in predict(TASKS, odd))


def test_no_task_is_no_result(predict):
    assert predict([]) == []


def test_a_project_without_a_version_gets_places_and_no_class(predict):
    results = predict([task | {"project": 2} for task in TASKS])
    assert all(result["result"] == [] and 0.5 <= result["score"] < 1 for result in results)


def test_a_version_for_other_classes_predicts_nothing(predict):
    assert all(result["result"] == [] for result in predict(TASKS, label_config(["A", "C"])))


def test_a_strategy_of_the_users_own_that_is_gone_costs_the_order_and_no_prediction(predict, environment, caplog):
    projects = Projects(Path(environment["DATA_DIR"]))
    store = VersionStore(projects.folder(1) / "versions")
    store.write(replace(store.load(NAME), name="al-2-00000b", strategy="gone_module:novelty"))
    with projects.edit(1) as state:
        state.live = "al-2-00000b"
    results = predict(TASKS)
    assert all(result["result"] and 0.5 <= result["score"] < 1 for result in results)
    assert {result["model_version"] for result in results} == {"al-2-00000b"}
    assert "gone_module" in caplog.text


def test_tasks_of_several_projects_come_back_in_their_order(predict):
    results = predict([TASKS[0], TASKS[1] | {"project": 2}, TASKS[2]])
    assert [result["model_version"] for result in results] == [NAME, plugin.NO_VERSION, NAME]


def test_label_studio_mls_own_server_serves_it(environment, tmp_path):
    port = free_port()
    code = (
        "from label_studio_ml.api import init_app\n"
        "from backend.server.plugin import ActiveLearningBackend\n"
        f"app = init_app(ActiveLearningBackend, model_dir={str(tmp_path / 'models')!r})\n"
        f"app.run(host='127.0.0.1', port={port})\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(ROOT), **environment})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=100) as client:

            def up():
                try:
                    return client.get("/health").is_success
                except httpx.HTTPError:
                    return False

            wait_until(up, what="the packaged server is up")
            body = {"project": "1.1", "schema": CONFIG, "hostname": "", "access_token": ""}
            assert client.post("/setup", json=body).is_success
            answer = client.post("/predict", json={"tasks": [*TASKS, BROKEN], "project": "1.1", "label_config": CONFIG})
        results = answer.json()["results"]
        assert [result["model_version"] for result in results] == [NAME] * 4
        assert [bool(result["result"]) for result in results] == [True, True, True, False]
    finally:
        server.kill()
        server.wait()


def test_out_of_time_the_rest_is_answered_without_a_class(predict, monkeypatch):
    monkeypatch.setattr(plugin, "SECONDS", -1)
    assert [result["result"] for result in predict(TASKS)] == [[], [], []]


def test_what_is_imported_for_good_is_not_looked_through_by_each_collection_which_holds_up_webhooks():
    gc.unfreeze()
    server_app._plugin.cache_clear()
    try:
        server_app._plugin()
        assert gc.get_freeze_count() > 100_000
    finally:
        gc.unfreeze()
