"""The benchmark of the strategies, on a pool small enough for a test."""

import json
import mmap

import numpy as np
import pytest

from backend.__main__ import main
from backend.simulate.bench import GIB, Bench, PeakMemory, as_json, bench, make_pool, render

SMALL = ["bench", "--rows", "3000", "--size", "20"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of three strategies: the options, the costs, what was said, and what it left behind in the folder."""
    folder = tmp_path_factory.mktemp("bench")
    options = Bench(rows=3000, size=20, strategies=("margin", "typiclust+distinct"), folder=folder)
    said = []
    return options, bench(options, said.append), said, list(folder.iterdir())


def test_each_strategy_is_measured_and_random_first(measured):
    assert [cost.strategy for cost in measured[1]] == ["random", "margin", "typiclust+distinct"]
    for cost in measured[1]:
        assert cost.error == ""
        assert cost.seconds > 0
        assert 0.01 < cost.gib < 1


def test_the_ratio_is_to_random_in_the_same_run(measured):
    random, _, clusters = measured[1]
    assert random.ratio == 1
    assert clusters.ratio == pytest.approx(clusters.seconds / random.seconds)
    assert clusters.ratio > 1


def test_the_pool_is_deleted_afterwards(measured):
    assert measured[3] == []


def test_it_tells_how_far_it_is(measured):
    assert measured[2][0].startswith("pool of 3000 x 2048 made in")
    assert len(measured[2]) == 4


def test_the_table_and_the_json_hold_every_strategy(measured):
    options, costs, *_ = measured
    assert len(render(costs).splitlines()) == 4
    found = json.loads(as_json(costs, options))
    assert (found["rows"], found["size"], found["batch"]) == (3000, 20, 10)
    assert [row["strategy"] for row in found["strategies"]] == ["random", "margin", "typiclust+distinct"]


def test_the_pool_is_in_clusters_with_probabilities_that_follow_from_them(tmp_path):
    make_pool(tmp_path, 500)
    embeddings, p = np.load(tmp_path / "embeddings.npy"), np.load(tmp_path / "probabilities.npy")
    assert (embeddings.shape, embeddings.dtype, p.shape, p.dtype) == ((500, 2048), np.float16, (500, 10), np.float32)
    assert np.linalg.norm(embeddings.astype(np.float32), axis=1) == pytest.approx(1, abs=1e-3)
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert len(np.unique(p.argmax(axis=1))) > 3
    similar = embeddings.astype(np.float32) @ embeddings[0].astype(np.float32)
    assert (similar[1:] > 0.4).sum() in range(2, 50)


def test_memory_counts_what_is_allocated_and_not_what_is_mapped(tmp_path):
    (tmp_path / "file").write_bytes(b"1" * 2**26)
    with PeakMemory() as idle:
        pass
    with PeakMemory() as mapped, (tmp_path / "file").open("rb") as file:
        sum(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)[::4096])
    with PeakMemory() as allocated:
        np.ones(2**26, np.uint8).sum()
    assert (mapped.bytes - idle.bytes) / GIB < 0.03
    assert (allocated.bytes - idle.bytes) / GIB > 0.05


def test_too_little_space_is_refused_with_what_to_do(tmp_path, capsys):
    assert main(["bench", "--rows", "1000000000000", "--folder", str(tmp_path)]) == 1
    assert "choose another place with --folder, or fewer images with --rows" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert main([*SMALL, "--folder", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_an_unknown_strategy_is_refused_before_the_pool_is_made(capsys):
    assert main([*SMALL, "--strategies", "margin,best"]) == 1
    assert "strategy 'best' is unknown" in capsys.readouterr().err


def test_json_is_all_that_stands_on_standard_output(capsys):
    assert main([*SMALL, "--strategies", "random", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["strategies"][0]["strategy"] == "random"
