"""The script that makes labels wrong on purpose counts what it finds of them."""

import numpy as np

from tools.label_errors import one_run


def clouds(n: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of n images of three classes, `apart` from each other."""
    random = np.random.default_rng(0)
    truth = random.integers(3, size=n)
    values = random.normal(size=(n, 16)).astype(np.float32)
    values[np.arange(n), truth] += apart
    return values / np.linalg.norm(values, axis=1, keepdims=True), truth


def test_wrong_labels_of_classes_far_apart_are_nearly_all_found():
    figures = one_run(*clouds(400, apart=12.0), classes=3, labels=200, wrong=0.1, seed=0)
    assert figures["recall of all doubts"] >= 0.8
    assert figures["precision of the first 10"] >= 0.9
    assert figures["suggestion right"] >= 0.9


def test_what_cannot_be_told_apart_gives_few_hits():
    figures = one_run(*clouds(400, apart=0.0), classes=3, labels=200, wrong=0.1, seed=0)
    assert figures["precision of all doubts"] < 0.3


def test_equal_seeds_give_equal_figures():
    runs = [one_run(*clouds(300, apart=3.0), classes=3, labels=100, wrong=0.05, seed=4) for _ in range(2)]
    assert [{name: value for name, value in run.items() if name != "seconds"} for run in runs] == [
        {name: value for name, value in runs[0].items() if name != "seconds"}
    ] * 2
