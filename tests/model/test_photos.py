"""Photos kept for training, and their guises."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from model.embeddings.images import ImageError, decode
from model.inputs import PhotoInputs
from model.networks.preprocessing import CENTRE_CROP, IMAGENET_MEAN, IMAGENET_STD
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
    original = CENTRE_CROP.prepare(decode(photo, 10**8)) / 255
    expected = (original - IMAGENET_MEAN) / IMAGENET_STD
    assert np.abs(plain(tmp_path / "a.jpg").permute(1, 2, 0).numpy() - expected).mean() < 0.03  # of a standard deviation


def test_what_is_no_image_is_refused_and_nothing_is_stored(tmp_path):
    with pytest.raises(ImageError):
        store_photo(b"no image", 10**8, tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_a_guise_depends_on_its_generator_alone(photo, tmp_path):
    store_photo(photo, 10**8, tmp_path / "a.jpg")
    guises = [Augmentation(160)(tmp_path / "a.jpg", torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert guises[0].shape == (3, 160, 160)
    assert torch.equal(guises[0], guises[1])
    assert not torch.equal(guises[0], guises[2])


def test_guises_are_those_of_torchvisions_transforms(photo, tmp_path):
    store_photo(photo, 10**8, tmp_path / "a.jpg")
    theirs = v2.Compose(
        [
            v2.RandomResizedCrop(160, scale=(0.35, 1.0), interpolation=InterpolationMode.BILINEAR, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    with Image.open(tmp_path / "a.jpg") as image:
        pixels = v2.functional.pil_to_tensor(image)
    for seed in range(5):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            expected = theirs(pixels)
        assert torch.equal(Augmentation(160)(tmp_path / "a.jpg", torch.Generator().manual_seed(seed)), expected)


def test_guises_leave_the_generator_of_the_process_alone(photo, tmp_path):
    store_photo(photo, 10**8, tmp_path / "a.jpg")
    before = torch.get_rng_state()
    list(PhotoInputs([tmp_path / "a.jpg"], 160, seed=3).augmented(np.zeros(4, np.int64), epoch=0, batch=2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_every_kind_of_image_has_three_channels(mode, tmp_path):
    buffer = io.BytesIO()
    Image.new(mode, (300, 400)).save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    store_photo(buffer.getvalue(), 10**8, tmp_path / "a.jpg")
    assert plain(tmp_path / "a.jpg").shape == (3, 224, 224)
