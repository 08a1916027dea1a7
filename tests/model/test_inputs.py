"""Photos and cached features as inputs of a training run."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from model.inputs import PhotoInputs, cache_features

N = 20
EVERY = np.arange(N)


@pytest.fixture
def photos(tmp_path):
    """Stored photos, each of one grey of its own with a brighter left half."""
    for number in range(N):
        image = Image.new("RGB", (256, 256), (10 * number,) * 3)
        image.paste((10 * number + 50,) * 3, (0, 0, 128, 256))
        image.save(tmp_path / f"{number}.jpg", quality=95)
    return PhotoInputs([tmp_path / f"{number}.jpg" for number in range(N)], crop=32, seed=0)


@pytest.fixture
def features(photos, tmp_path):
    """Features of them: means of the parts of a 4 x 4 grid."""

    class Front(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, images):
            return nn.functional.avg_pool2d(images, images.shape[-1] // 4) * self.weight

    def make(views=3, most_bytes=1e9, report=lambda *_: None):
        return cache_features(photos, Front(), tmp_path, views, most_bytes, 0, report)

    return make


def gathered(batches):
    """All batches as one array."""
    return torch.cat(list(batches)).numpy()


def test_batches_come_in_the_order_of_the_rows(photos):
    rows = EVERY[::-1].copy()
    brightness = gathered(photos.plain(rows)).mean(axis=(1, 2, 3))
    assert (np.diff(brightness) < 0).all()
    assert gathered(photos.augmented(rows, 0, 8)).shape == (N, 3, 32, 32)


def test_a_photo_has_another_guise_in_each_epoch_and_the_same_for_an_equal_seed(photos):
    first, again, other = (gathered(photos.augmented(EVERY, epoch, 8)) for epoch in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).all(axis=(1, 2, 3)).any()


def test_plain_features_are_those_of_plain_photos(photos, features):
    expected = nn.functional.avg_pool2d(torch.from_numpy(gathered(photos.plain(EVERY))), 56).numpy()
    assert gathered(features().plain(EVERY)) == pytest.approx(expected, abs=0.01)


def test_features_have_guises_that_depend_on_seed_and_epoch_alone(features):
    first, again, other = (gathered(features().augmented(EVERY, epoch, 8)) for epoch in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_guise_of_features_is_mirrored_half_of_the_time(features):
    flat = features(views=1)
    seen = np.stack([gathered(flat.augmented(EVERY, epoch, 8))[5] for epoch in range(40)])
    as_first = (seen == seen[0]).all(axis=(1, 2, 3))
    assert 10 < as_first.sum() < 30
    assert (seen[~as_first] == seen[0][:, :, ::-1]).all()


def test_finished_guises_are_not_made_again(features, tmp_path):
    features(views=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    features(views=3)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(tmp_path.glob("view-*.npy"))) == 3


def test_there_are_fewer_guises_where_they_would_take_too_much_disk(features, tmp_path):
    size = N * 3 * 4 * 4 * 2
    features(views=8, most_bytes=3.5 * size)
    assert len(list(tmp_path.glob("view-*.npy"))) == 2


def test_progress_counts_every_guise(features):
    told = []
    features(views=2, report=lambda _, done, total: told.append((done, total)))
    assert told[-1] == (3 * N, 3 * N)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
