"""The measure of large projects, on a small one: that it measures what a project has."""

import pytest

from backend.bench import scale
from backend.bench.figures import Bench, BenchError
from backend.settings import Settings


@pytest.fixture
def small(monkeypatch):
    """The measure at one size, with images as its only number."""

    def use(images):
        monkeypatch.setattr(scale, "SIZES", {"10k": images})

    return use


@pytest.mark.soak
def test_each_part_takes_time_and_memory_at_its_size_and_leaves_nothing(small, tmp_path):
    small(2000)
    rows = {row.name: row for row in scale.measure(Bench(Settings(), tmp_path, only=("scale.round_10k",)))}
    assert list(rows) == [name for name in scale.ROWS if "_10k" in name]
    assert all(row.value > 0 for row in rows.values())
    assert all(0.05 < row.value < 2 for name, row in rows.items() if name.endswith(".memory"))
    assert {row.against for row in rows.values()} == {"2,000 x 2048, 1000 labels"}
    assert list(tmp_path.iterdir()) == []


def test_a_disk_too_small_is_told_before_anything_is_written(small, tmp_path):
    small(10**12)
    with pytest.raises(BenchError, match="--folder"):
        next(scale.measure(Bench(Settings(), tmp_path)))
    assert list(tmp_path.iterdir()) == []
