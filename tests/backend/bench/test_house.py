"""What measures that need a Label Studio have of it."""

import io

import pytest
from PIL import Image

from backend.bench.figures import Bench
from backend.bench.photos import CLASSES, class_of, photo, write_photos
from backend.bench.run import run
from backend.settings import Settings


def test_without_a_label_studio_they_are_skipped_with_the_next_step(tmp_path):
    outcome = run(Bench(Settings(), tmp_path), ["housed"], "tests.backend.bench.made_up")["housed"]
    assert (outcome.rows, outcome.failed) == ((), "")
    assert "--label-studio" in outcome.skipped


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1200, 800)])
def test_a_photo_has_the_size_asked_for_and_is_the_same_each_time(size):
    content = photo(7, size)
    assert Image.open(io.BytesIO(content)).size == size
    assert content == photo(7, size)
    assert content != photo(8, size)


def test_a_photo_weighs_what_one_of_a_camera_does():
    assert 0.3 < len(photo(1)) * 8 / (640 * 480) < 6  # bits a pixel


def test_photos_are_written_with_their_classes(tmp_path):
    named = write_photos(tmp_path / "photos", 7)
    assert [name for name, _ in named.values()] == [class_of(number) for number in range(7)]
    assert {name for name, _ in named.values()} == set(CLASSES)
    assert all(path.read_bytes() == photo(number) for number, (_, path) in enumerate(named.values()))
