"""Random numbers without a state: uniform, repeatable, and a different set for each seed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.stats

from strategies.arrays.hashing import uniform_hash


def test_consecutive_ids_hash_to_a_uniform_distribution():
    for seed in ("", "al-1", "random slots"):
        assert scipy.stats.kstest(uniform_hash(np.arange(50_000), seed), "uniform").pvalue > 0.001


def test_the_hashes_of_neighbouring_ids_are_uncorrelated():
    values = uniform_hash(np.arange(50_000), "s")
    assert abs(scipy.stats.pearsonr(values[1:], values[:-1]).statistic) < 0.02


def test_the_hashes_under_two_seeds_are_uncorrelated():
    tasks = np.arange(50_000)
    assert abs(scipy.stats.pearsonr(uniform_hash(tasks, "al-1"), uniform_hash(tasks, "al-2")).statistic) < 0.02


def test_hashes_lie_below_1():
    values = uniform_hash(np.arange(200_000), "s")
    assert values.min() >= 0
    assert values.max() < 1


def test_no_two_tasks_share_a_hash():
    assert len(np.unique(uniform_hash(np.arange(200_000), "s"))) == 200_000


def test_hashes_are_the_same_on_every_call():
    assert (uniform_hash(np.arange(99), "s") == uniform_hash(np.arange(99), "s")).all()


def test_hashes_are_the_same_in_another_process():
    program = "from strategies.arrays.hashing import np, uniform_hash as u; print(u(np.arange(5), 's').tolist())"
    root = Path(__file__).resolve().parents[3]
    said = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(uniform_hash(np.arange(5), "s").tolist())


def test_the_hash_of_a_task_does_not_depend_on_the_others():
    assert uniform_hash(np.array([7]), "s")[0] == uniform_hash(np.arange(10), "s")[7]


def test_the_seed_changes_every_hash():
    assert (uniform_hash(np.arange(99), "al-1") != uniform_hash(np.arange(99), "al-2")).all()


def test_no_tasks_have_no_hashes():
    assert uniform_hash(np.zeros(0, np.int64), "s").shape == (0,)
