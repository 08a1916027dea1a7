"""The sample images: enough of them, the same shapes each time, and never over somebody's file."""

import numpy as np
import pytest
from PIL import Image

from tools.samples import CLASSES, EACH, draw_samples


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The folder, and what was reported while it was drawn."""
    folder, reports = tmp_path_factory.mktemp("samples"), []
    draw_samples(folder, lambda *report: reports.append(report))
    return folder, reports


def coarse(folder):
    """The images as 16 x 16 blocks, in which noise averages out: of shape (N, 16, 16, 3)."""
    paths = sorted(folder.rglob("*.jpg"))
    return np.stack([np.asarray(Image.open(path).resize((16, 16), Image.Resampling.BOX), np.float32) for path in paths])


def test_there_are_three_classes(drawn):
    assert sorted(path.name for path in drawn[0].iterdir()) == sorted(CLASSES)
    assert len(CLASSES) == 3


def test_there_are_several_hundred_images(drawn):
    assert len(list(drawn[0].glob("*/*.jpg"))) == 3 * EACH >= 300


def test_every_image_can_be_read(drawn):
    for path in drawn[0].glob("*/*"):
        Image.open(path).load()


def test_every_image_is_reported(drawn):
    assert drawn[1] == [(n, 3 * EACH) for n in range(1, 3 * EACH + 1)]


def test_some_images_are_near_copies(drawn):
    images = coarse(drawn[0])
    from_the_one_before = np.abs(np.diff(images, axis=0)).mean(axis=(1, 2, 3))
    assert 0.15 < (from_the_one_before < 8).mean() < 0.4


def test_the_same_seed_draws_the_same_files(drawn, tmp_path):
    draw_samples(tmp_path, lambda *_: None)
    files = {path.relative_to(drawn[0]): path.read_bytes() for path in drawn[0].rglob("*.jpg")}
    assert files == {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.jpg")}


def test_another_seed_draws_other_shapes(drawn, tmp_path):
    draw_samples(tmp_path, lambda *_: None, seed=1)
    differences = np.abs(coarse(tmp_path) - coarse(drawn[0])).max(axis=(1, 2, 3))
    assert (differences > 15).mean() > 0.95


def test_existing_files_are_left_alone_and_missing_ones_drawn(tmp_path):
    mine = tmp_path / "circle" / "000.jpg"
    mine.parent.mkdir()
    mine.write_text("mine")
    draw_samples(tmp_path, lambda *_: None)
    assert mine.read_text() == "mine"
    assert len(list(tmp_path.glob("*/*"))) == 3 * EACH
