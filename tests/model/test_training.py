"""A training run, on a network so small that each test takes a moment."""

import numpy as np
import pytest
import torch
from torch import nn

from model import training
from model.training import Classifier, Lesson, Recipe, balanced, groups, predict, train

RECIPE = Recipe(
    epochs=6, batch=8, learning_rate=0.02, decay=0.5, head=2, weight_decay=0.0, smoothing=0.0, warmup=0.1, patience=6
)
N = 60


class Vectors:
    """Rows of an array as inputs; training adds noise that depends on the epoch."""

    def __init__(self, values):
        self._values = torch.from_numpy(values)

    def augmented(self, rows, epoch, batch):
        noise = torch.Generator().manual_seed(epoch)
        for start in range(0, len(rows), batch):
            chosen = self._values[rows[start : start + batch]]
            yield chosen + 0.01 * torch.randn(chosen.shape, generator=noise)

    def plain(self, rows):
        yield self._values[rows]


@pytest.fixture
def data():
    """60 points of two classes that lie on both sides of two others': not linearly separable."""
    random = np.random.default_rng(0)
    values = random.normal(size=(N, 6)).astype(np.float32)
    labels = (values[:, 0] * values[:, 1] > 0).astype(np.int64)
    return Vectors(values), labels


def model(seed=0):
    """Two stages and a head."""
    torch.manual_seed(seed)
    stages = nn.Sequential(nn.Sequential(nn.Linear(6, 32), nn.Tanh()), nn.Sequential(nn.Linear(32, 16), nn.Tanh()))
    return Classifier(stages, np.zeros((2, 16), np.float32), np.zeros(2, np.float32))


def run(data, folder, network=None, recipe=RECIPE, judged=20, until=None, seconds=1e9, report=lambda *_: None):
    """Train on all but the first `judged` points, which are judged on; returns the network and how it went."""
    inputs, labels = data
    network = network or model()
    rows = np.arange(N)
    parts = groups(network, [[network.stages[1]], [network.stages[0]]], recipe)
    lesson = Lesson(inputs, labels, rows[judged:], rows[:judged], until or recipe.epochs, seconds, seed=0)
    return network, train(network, parts, lesson, recipe, folder / "run.pt", report)


def same(first, second):
    """Whether two networks are equal bit for bit."""
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_learns_what_a_linear_head_cannot(data, tmp_path):
    inputs, labels = data
    recipe = Recipe(**(vars(RECIPE) | {"epochs": 60, "patience": 60}))
    network, _ = run(data, tmp_path, recipe=recipe, judged=0)
    assert (predict(network, inputs, np.arange(N)).argmax(axis=1) == labels).mean() > 0.95


def test_equal_seeds_give_equal_weights(data, tmp_path):
    assert same(run(data, tmp_path / "a")[0], run(data, tmp_path / "b")[0])


def test_the_weights_of_the_epoch_with_the_least_loss_are_kept(data, tmp_path):
    inputs, labels = data
    recipe = Recipe(**(vars(RECIPE) | {"epochs": 12, "learning_rate": 0.3, "patience": 12}))
    network, progress = run(data, tmp_path, recipe=recipe)
    losses = [epoch.loss for epoch in progress.epochs]
    assert progress.best == 1 + int(np.argmin(losses)) < len(losses)
    logits = torch.from_numpy(predict(network, inputs, np.arange(20)))
    tempered = [nn.functional.cross_entropy(logits / t, torch.from_numpy(labels[:20])) for t in np.exp(np.linspace(-3, 3, 999))]
    assert float(min(tempered)) == pytest.approx(min(losses), abs=1e-4)


def test_it_stops_when_it_has_not_got_better_for_a_while(data, tmp_path):
    recipe = Recipe(**(vars(RECIPE) | {"epochs": 50, "learning_rate": 0.5, "patience": 3}))
    _, progress = run(data, tmp_path, recipe=recipe)
    assert len(progress.epochs) == progress.best + 3 < 50


def test_with_nothing_to_judge_on_the_last_epoch_counts(data, tmp_path):
    _, progress = run(data, tmp_path, judged=0, until=4)
    assert progress.best == len(progress.epochs) == 4
    assert progress.epochs[0].loss is None


@pytest.mark.parametrize("judged", [0, 20])
def test_a_run_that_was_killed_comes_to_the_same_weights(data, tmp_path, monkeypatch, judged):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    whole, _ = run(data, tmp_path / "whole", judged=judged)

    def kill(progress, seen):
        if len(progress.epochs) == 3 and seen > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "killed", judged=judged, report=kill)
    resumed, progress = run(data, tmp_path / "killed", network=model(seed=9), judged=judged)
    assert len(progress.epochs) == RECIPE.epochs
    assert same(whole, resumed)


def test_no_epoch_starts_that_would_be_late(data, tmp_path):
    assert len(run(data, tmp_path, seconds=1e-9)[1].epochs) == 1


def test_a_schedule_that_would_take_too_long_is_made_for_the_epochs_that_fit(data, tmp_path):
    recipe = Recipe(**(vars(RECIPE) | {"epochs": 10**9}))
    _, progress = run(data, tmp_path, recipe=recipe, until=2, seconds=60)
    assert 1 < progress.planned <= 60 / progress.epochs[0].seconds


def test_earlier_stages_learn_more_slowly_and_biases_do_not_decay():
    network = model()
    recipe = Recipe(**(vars(RECIPE) | {"weight_decay": 0.1}))
    found = {id(p): g for g in groups(network, [[network.stages[1]], [network.stages[0]]], recipe) for p in g["params"]}
    rates = [found[id(layer.weight)]["initial_lr"] for layer in (network.head, network.stages[1][0], network.stages[0][0])]
    assert rates == pytest.approx([0.04, 0.02, 0.01])
    assert found[id(network.head.weight)]["weight_decay"] == 0.1
    assert found[id(network.head.bias)]["weight_decay"] == 0.0
    assert len(found) == len(list(network.parameters()))


def test_the_learning_rate_warms_up_and_then_falls_to_nothing():
    rates = [training._rate(done, 0.1) for done in (0, 0.05, 0.1, 0.55, 1)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_an_epoch_shows_each_class_equally_often():
    labels = np.repeat([0, 1, 2], [50, 8, 2])
    drawn = balanced(labels, np.arange(60), np.random.default_rng(0))
    assert np.bincount(labels[drawn]).tolist() == [20, 20, 20]
    assert len(np.unique(drawn[labels[drawn] == 0])) == 20


def test_an_epoch_of_balanced_classes_shows_each_image_once():
    assert sorted(balanced(np.arange(9) % 3, np.arange(9), np.random.default_rng(0))) == list(range(9))


def test_batch_normalisation_keeps_its_statistics(data, tmp_path):
    stages = nn.Sequential(nn.Sequential(nn.Unflatten(1, (6, 1, 1)), nn.BatchNorm2d(6)), nn.Sequential(nn.Flatten()))
    network = Classifier(stages, np.zeros((2, 6), np.float32), np.zeros(2, np.float32))
    run(data, tmp_path, network=network)
    norm = network.stages[0][1]
    assert torch.equal(norm.running_mean, torch.zeros(6))
    assert not torch.equal(norm.weight, torch.ones(6))
