"""The benchmark of the strategies, on a pool small enough for a test."""

import mmap
import sys
import time

import numpy as np
import pytest

from backend.bench import scikit_activeml, strategies
from backend.bench.figures import Bench, BenchError
from backend.bench.strategies import GIB, PeakMemory, make_pool
from backend.settings import Settings


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The rows of two strategies."""
    folder = tmp_path_factory.mktemp("bench")
    bench = Bench(Settings(), folder, ("strategies.margin.memory", "strategies.typiclust"), rows=3000, size=20)
    return list(strategies.measure(bench))


def test_each_strategy_has_its_seconds_and_its_memory(rows):
    by_name = {row.name: row for row in rows}
    assert 0 < by_name["strategies.typiclust"].value < 60
    assert 0.01 < by_name["strategies.typiclust.memory"].value < 1


def test_only_the_strategies_that_are_asked_for_run(rows):
    assert {row.name.split(".")[1] for row in rows} == {"margin", "typiclust"}


def test_the_goals_stand_at_a_million_images_alone(rows):
    assert {row.goal for row in rows} == {None}


def compare(tmp_path):
    return list(strategies.measure(Bench(Settings(), tmp_path, ("strategies.over_scikit_activeml",))))


def test_a_comparison_with_scikit_activeml_makes_no_large_pool(monkeypatch, tmp_path):
    monkeypatch.setattr(scikit_activeml, "POOL", 300)
    monkeypatch.setattr(scikit_activeml, "PICKS", 5)
    found = compare(tmp_path)
    assert [row.name for row in found] == list(scikit_activeml.ROWS)
    assert {(row.unit, row.goal, row.met) for row in found} <= {("x", 20, True), ("x", 20, False)}
    assert all(row.value > 1 and row.against.startswith("scikit-activeml 1.0.0, 5 picks from 300 x 512") for row in found)
    assert list(tmp_path.iterdir()) == []


def test_without_scikit_activeml_its_rows_are_skipped_and_it_says_why(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "skactiveml.pool", None)
    assert compare(tmp_path) == []
    assert "skipped, as it is not installed: pip install scikit-activeml" in capsys.readouterr().err


def test_too_little_space_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(BenchError, match="choose another place with --folder, or fewer images with --rows"):
        list(strategies.measure(Bench(Settings(), tmp_path, ("strategies.margin",), rows=10**12)))


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
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # an array may come out of memory that the process has had before
    with PeakMemory() as allocated, mmap.mmap(-1, 2**26, flags=private) as memory:
        memory.write(b"1" * 2**26)
        time.sleep(0.2)  # long enough to be seen by a thread that looks every hundredth of a second
    assert (mapped.bytes - idle.bytes) / GIB < 0.03
    assert (allocated.bytes - idle.bytes) / GIB > 0.05
