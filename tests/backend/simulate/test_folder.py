"""Files, copies and their embeddings, on real images."""

import io

import numpy as np
import pytest
from PIL import Image

from backend.simulate.dataset import list_dataset
from backend.simulate.embed_dataset import embed_dataset
from backend.simulate.folder import near_copy
from backend.simulate.progress import StepLine
from model.embeddings.images import ImageError
from tests.model.made_up import resnet50
from tools.samples import draw_samples

MOST = 10**8


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Six drawn images, two of each class."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_samples(folder, lambda *_: None)
    for path in folder.glob("*/*.jpg"):
        if path.stem not in ("000", "001"):
            path.unlink()
    return folder


def test_images_come_in_the_order_of_classes_and_names_with_their_copies_behind_them(drawn):
    images, _ = list_dataset(drawn, copies=2)
    assert images.classes == ("circle", "square", "star")
    assert images.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert images.originals.tolist() == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9, 12, 12, 12, 15, 15, 15]
    assert [source.copy for source in images.sources] == [0, 1, 2] * 6


def test_images_that_are_for_the_test_by_name_have_no_copies(drawn):
    images, left_out = list_dataset(drawn, ("000", "001"), copies=1)
    assert images.test.tolist() == [False, False, True] * 3
    assert [source.copy for source in images.sources] == [0, 1, 0] * 3
    assert left_out == 0


def test_a_copy_depends_on_the_file_and_its_number_alone(drawn):
    content = (drawn / "star" / "000.jpg").read_bytes()
    assert near_copy(content, 1, MOST) == near_copy(content, 1, MOST)
    assert near_copy(content, 1, MOST) != near_copy(content, 2, MOST)
    assert near_copy(content, 1, MOST) != near_copy((drawn / "star" / "001.jpg").read_bytes(), 1, MOST)


def test_copies_are_jpegs_that_show_most_of_the_image(drawn):
    content = (drawn / "star" / "000.jpg").read_bytes()
    for number in range(1, 20):
        with Image.open(io.BytesIO(near_copy(content, number, MOST))) as image:
            assert image.format == "JPEG"
            assert 0.79 <= image.width * image.height / 256**2 <= 0.96


def test_what_is_no_image_has_no_copy():
    with pytest.raises(ImageError, match="not a readable image"):
        near_copy(b"no image", 1, MOST)


def test_embeddings_are_made_once_and_copies_lie_near_their_original(drawn, weights, tmp_path, capsys):
    listed, _ = list_dataset(drawn, copies=1)
    (images,), unreadable = embed_dataset(listed, [resnet50(weights)], tmp_path, MOST, StepLine())
    assert unreadable == []
    values = images.embeddings.astype(np.float32)
    assert np.linalg.norm(values, axis=1) == pytest.approx(1, abs=1e-3)
    likeness = values @ values.T
    copies = likeness[np.arange(0, 12, 2), np.arange(1, 12, 2)]
    others = likeness[::2, ::2][~np.eye(6, dtype=bool)]
    assert copies.mean() > others.mean() + 0.1
    assert "embedding images by resnet50, " in capsys.readouterr().out
    (again,), _ = embed_dataset(listed, [resnet50(weights)], tmp_path, MOST, StepLine())
    assert capsys.readouterr().out == ""
    assert again.digest == images.digest


def test_images_that_cannot_be_read_are_left_out_with_their_copies_and_named(drawn, weights, place, simulate):
    for name in ("circle", "square", "star"):
        (place.folder / name).mkdir()
        for path in (drawn / name).iterdir():
            (place.folder / name / path.name).write_bytes(path.read_bytes())
    bad = place.folder / "circle" / "000.jpg"
    bad.write_bytes(b"no image")
    for name in ("bread", "meat", "vegetables"):
        for path in (place.folder / name).iterdir():
            path.unlink()
    run = simulate("--copies", "1", "--weights", str(weights), "--start", "2", "--batch", "2")
    assert run.status == 0
    assert "1 of the images cannot be read and are left out:" in run.out
    assert f"{bad}: not a readable image" in run.out
    assert run.json["labels"] == [2, 4, 6]


def test_a_folder_of_files_that_cannot_be_read_is_an_error(weights, simulate):
    run = simulate("--weights", str(weights))
    assert run.status == 1
    assert "Images of fewer than two classes can be read; the first of 75 that cannot is" in run.error
