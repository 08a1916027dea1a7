"""Photos kept for training, and their guises."""

import io

import pytest
import torch
from PIL import Image

from model.images import ImageError, to_tensor
from model.photos import Augmentation, plain, store_photo


@pytest.fixture
def photo(shared):
    """The bytes of a photo of bees."""
    return sorted((shared / "data" / "hymenoptera" / "bees").glob("*.jpg"))[0].read_bytes()


def test_a_photo_is_stored_with_a_shorter_side_of_256(photo, tmp_path):
    store_photo(photo, 10**8, tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as stored, Image.open(io.BytesIO(photo)) as original:
        assert min(stored.size) == 256
        assert stored.width / stored.height == pytest.approx(original.width / original.height, abs=0.01)


def test_a_stored_photo_looks_to_the_network_as_the_original_does(photo, tmp_path):
    store_photo(photo, 10**8, tmp_path / "a.jpg")
    assert (plain(tmp_path / "a.jpg") - to_tensor(photo, 10**8)).abs().mean() < 0.03  # of a standard deviation


def test_what_is_no_image_is_refused_and_nothing_is_stored(tmp_path):
    with pytest.raises(ImageError):
        store_photo(b"no image", 10**8, tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_a_guise_depends_on_torchs_seed_alone(photo, tmp_path):
    store_photo(photo, 10**8, tmp_path / "a.jpg")
    augment = Augmentation(160)
    guises = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        guises.append(augment(tmp_path / "a.jpg"))
    assert guises[0].shape == (3, 160, 160)
    assert torch.equal(guises[0], guises[1])
    assert not torch.equal(guises[0], guises[2])


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_every_kind_of_image_has_three_channels(mode, tmp_path):
    buffer = io.BytesIO()
    Image.new(mode, (300, 400)).save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    store_photo(buffer.getvalue(), 10**8, tmp_path / "a.jpg")
    assert plain(tmp_path / "a.jpg").shape == (3, 224, 224)
