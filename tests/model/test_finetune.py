"""ResNet50 itself retrained, on a few photos and for two epochs: what it learns is tested end to end, with more of both."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision import models

from model import finetune as module
from model.finetune import RECIPES, Recipe, TooFewLabels, finetune
from model.networks.backbone import BackboneSpec, load_backbone
from model.networks.torch_backbone import load_module
from model.networks.weights_file import WeightsError
from model.photos import store_photo
from tests.conftest import ROOT
from tests.model.made_up import DIMENSIONS, resnet50

EACH = 8
SHORT = Recipe(**(vars(RECIPES["all"]) | {"epochs": 2, "batch": 8}))


@pytest.fixture(scope="module")
def bees_and_ants(shared, tmp_path_factory):
    """Stored photos, labels, and a stop fold of two a class."""
    folder = tmp_path_factory.mktemp("photos")
    paths, labels = [], []
    for number, name in enumerate(("ants", "bees")):
        for path in sorted((shared / "data" / "hymenoptera" / name).glob("*.jpg"))[:EACH]:
            paths.append(folder / f"{name}-{path.name}")
            store_photo(path.read_bytes(), 10**8, paths[-1])
            labels.append(number)
    labels = np.array(labels)
    return SimpleNamespace(paths=paths, labels=labels, stop=np.arange(2 * EACH) % EACH < 2)


@pytest.fixture(scope="module")
def retrain(bees_and_ants, weights, tmp_path_factory):
    """Retrain from the shared weights; returns the result and the folder."""

    def run(depth, stop=None, folder=None, **options):
        folder = folder or tmp_path_factory.mktemp("run")
        data = bees_and_ants
        stop = data.stop if stop is None else stop
        how = {"depth": depth, "spec": resnet50(weights), "folder": folder, "recipe": SHORT} | options
        return finetune(data.paths, data.labels, stop, **how)

    return run


@pytest.fixture(scope="module", autouse=True)
def _few_views():
    """Two guises a photo."""
    before, module.VIEWS = module.VIEWS, 2
    yield
    module.VIEWS = before


@pytest.fixture(scope="module")
def made(retrain):
    """Both depths, retrained without a break, with what they reported."""
    told = {"last": [], "all": []}
    results = {depth: retrain(depth, report=told[depth].append) for depth in told}
    return SimpleNamespace(results=results, told=told, states={d: load_file(r.weights) for d, r in results.items()})


def changed(state, base):
    """The stages whose convolutions differ from the base."""
    return {key.split(".")[0] for key, value in state.items() if value.ndim == 4 and not torch.equal(value, base[key].float())}


def test_the_last_stage_alone_is_retrained(made, weights):
    assert changed(made.states["last"], load_file(weights)) == {"layer4"}


def test_the_whole_network_is_retrained(made, weights):
    assert changed(made.states["all"], load_file(weights)) == {"conv1", "layer1", "layer2", "layer3", "layer4"}


@pytest.mark.parametrize("depth", ["last", "all"])
def test_the_result_is_a_backbone_like_any_other(made, bees_and_ants, depth):
    result = made.results[depth]
    backbone = load_backbone(resnet50(result.weights))
    assert backbone.name == result.name
    assert load_module(backbone.spec).layer2[0].conv1.stride == (2, 2)
    with Image.open(bees_and_ants.paths[0]) as photo:
        embeddings = backbone.embed(backbone.prepare(photo)[None])
    assert embeddings.shape == (1, DIMENSIONS)
    assert np.isfinite(embeddings).all()


@pytest.mark.parametrize("depth", ["last", pytest.param("all", marks=pytest.mark.soak)])
def test_a_killed_one_goes_on_and_comes_to_the_same_weights(made, bees_and_ants, weights, tmp_path, depth, retrain):
    script = f"""
import os, signal
import numpy as np
from dataclasses import asdict
from pathlib import Path
from model import finetune, training
from tests.model.made_up import resnet50
training.CHECKPOINT_SECONDS, finetune.VIEWS = 0.0, 2
def report(status):
    if "epoch 2" in status.step:
        os.kill(os.getpid(), signal.SIGKILL)
paths = [Path(p) for p in {[str(path) for path in bees_and_ants.paths]!r}]
finetune.finetune(
    paths, np.array({bees_and_ants.labels.tolist()}), np.array({bees_and_ants.stop.tolist()}), depth={depth!r},
    spec=resnet50(Path({str(weights)!r})), folder=Path({str(tmp_path)!r}), recipe=finetune.Recipe(**{vars(SHORT)!r}),
    report=report)
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == -9
    steps = []
    result = retrain(depth, folder=tmp_path, report=lambda status: steps.append(status.step))
    assert not any("epoch 1" in step for step in steps)
    assert result.name == made.results[depth].name


def test_it_says_how_far_it_is(made):
    steps = [status.step for status in made.told["last"]]
    assert [steps[0], "preparing features" in steps] == ["loading ResNet50", True]
    last = made.told["last"][-1]
    assert last.step == "fine-tuning: epoch 2 of 2"
    assert last.done == last.total == 2 * (EACH - 2)
    assert 0 <= last.macro_f1 <= 1
    assert 0 <= last.seconds_left < made.told["last"][-2].seconds_left + 1


def test_without_a_stop_fold_cross_validation_finds_the_epochs(retrain, tmp_path):
    steps = []
    nobody = np.zeros(2 * EACH, bool)
    result = retrain("last", stop=nobody, folder=tmp_path, report=lambda status: steps.append(status.step))
    assert {step.split(":")[0] for step in steps if "fold" in step} == {
        f"fine-tuning, fold {n} of 3 to find the epochs" for n in (1, 2, 3)
    }
    assert result.epochs in (1, 2)


def test_a_time_limit_ends_it_after_an_epoch(retrain):
    assert retrain("last", minutes=1e-6).epochs == 1


@pytest.mark.parametrize("labels", [[0] * 16, [0, 1]])
def test_too_few_labels_are_refused_with_the_number_it_takes(bees_and_ants, weights, tmp_path, labels):
    paths = bees_and_ants.paths[: len(labels)]
    with pytest.raises(TooFewLabels, match="at least 6 labelled images of two classes"):
        finetune(paths, np.array(labels), np.zeros(len(labels), bool), depth="last", spec=resnet50(weights), folder=tmp_path)


def test_another_resnet_of_torchvisions_is_retrained_as_well(retrain, tmp_path):
    torch.save(models.resnet18().state_dict(), tmp_path / "own.pth")
    result = retrain("last", spec=BackboneSpec.of("resnet18", tmp_path / "own.pth", "float32"))
    assert result.name.startswith("resnet18-")
    assert load_backbone(BackboneSpec.of("resnet18", result.weights, "float32")).width == 512


def test_a_network_without_such_stages_is_not_retrained(retrain, tmp_path):
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "own.pth")
    with pytest.raises(WeightsError, match="squeezenet1_1 cannot be retrained: only ResNets can, such as resnet50"):
        retrain("last", spec=BackboneSpec.of("squeezenet1_1", tmp_path / "own.pth", "float32"))
