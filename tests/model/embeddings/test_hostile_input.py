"""Files and arrays that are broken, hostile or odd: refused clearly, or read right."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image

from model.embeddings.embedding_store import EmbeddingStore
from model.embeddings.image_files import orientation
from model.embeddings.images import ImageError, decode, read
from model.heads.head import Head
from model.networks.backbone import backbone_name, load_backbone
from model.networks.weights_file import WeightsError
from model.version_store import Version, VersionError, VersionStore
from tests.conftest import ROOT
from tests.model.made_up import resnet50

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of broken tags


def encoded(image, kind="PNG"):
    """The file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def version(name, tasks, labels):
    """A version without a head."""
    return Version(name, 0.0, {}, "backbone", "margin", None, tasks, labels, 0)


@pytest.mark.parametrize("height", [20_000, 1_000_000])
def test_a_thin_image_within_the_pixel_limit_takes_no_gigabytes(height):
    code = f"""
import io, resource
from PIL import Image
from model.embeddings.images import decode
from model.networks.preprocessing import CENTRE_CROP, WHOLE_IMAGE
buffer = io.BytesIO()
Image.new("RGB", (1, {height})).save(buffer, "PNG")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
for preprocessing in (CENTRE_CROP, WHOLE_IMAGE):
    preprocessing.prepare(decode(buffer.getvalue(), 10**8))
assert peak() - before < 500_000, peak() - before
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_sixteen_bit_greyscale_keeps_its_brightness():
    grey = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    assert np.asarray(decode(encoded(grey), 10**6)).mean() == pytest.approx(127.5, abs=2)


def test_a_floating_point_image_keeps_its_brightness():
    grey = Image.fromarray(np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100))
    assert np.asarray(decode(encoded(grey, "TIFF"), 10**6)).mean() == pytest.approx(127.5, abs=2)


def test_a_limit_beyond_pillows_own_is_the_one_that_counts():
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    with pytest.raises(ImageError, match="MAX_IMAGE_PIXELS"):
        decode(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""), 10**6)


def test_postscript_never_starts_ghostscript(tmp_path, monkeypatch):
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    with pytest.raises(ImageError):
        decode(encoded(Image.new("RGB", (9, 9)), "EPS"), 10**6)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[1], {"state_dict": {}}, {"weight": 1.0}], ids=["list", "nested", "numbers"])
def test_a_pth_file_that_is_no_state_dict_is_a_weights_error(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="MODEL_WEIGHTS"):
        load_backbone(resnet50(tmp_path / "w.pth"))


def test_a_pickled_program_is_not_run(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="MODEL_WEIGHTS"):
        load_backbone(resnet50(tmp_path / "w.pth"))


def test_weights_that_are_not_there_have_no_name(tmp_path):
    with pytest.raises(WeightsError, match="MODEL_WEIGHTS"):
        backbone_name(resnet50(tmp_path / "absent"))


def test_labels_in_strided_arrays_come_back(tmp_path):
    store, numbers = VersionStore(tmp_path), np.arange(10)
    store.write(version("al-1-00000a", numbers[::2], numbers[::-2]))
    loaded = store.load("al-1-00000a")
    assert (loaded.tasks.tolist(), loaded.labels.tolist()) == ([0, 2, 4, 6, 8], [9, 7, 5, 3, 1])


def test_a_head_with_transposed_weights_comes_back(tmp_path):
    weights = np.arange(6, dtype=np.float32).reshape(3, 2).T
    Head(weights, np.zeros(2, np.float32), 1.0, np.array([1, 1])).save(tmp_path / "h")
    assert (Head.load(tmp_path / "h").weights == weights).all()


def test_a_version_name_that_leaves_the_folder_is_not_written(tmp_path):
    numbers = np.arange(3)
    with pytest.raises(VersionError, match="no version name"):
        VersionStore(tmp_path / "v").write(version("../x", numbers, numbers))
    assert not (tmp_path / "x").exists()


def test_shards_whose_rows_all_stand_elsewhere_are_compacted_away(tmp_path):
    store = EmbeddingStore(tmp_path, 2)
    for _ in range(70):
        store.add([1], np.ones((1, 2)))
    store.add([2], np.ones((1, 2)))
    store.compact()
    assert len(list(tmp_path.iterdir())) < 10
    assert store.get([1, 2])[1].all()


def small_files():
    """A small file of each format."""
    pixels = np.random.default_rng(0).integers(0, 255, (12, 20, 3), np.uint8)
    image = Image.fromarray(pixels)
    kinds = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF"]
    return [encoded(image, kind) for kind in kinds] + [encoded(image.convert(mode)) for mode in ("LA", "RGBA", "P", "1")]


FILES = small_files()
CHANGES = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8)


@settings(deadline=None, max_examples=400)
@given(file=st.sampled_from(FILES), changes=CHANGES, length=st.integers(0, 3000), more=st.binary(max_size=20))
def test_a_damaged_file_is_read_or_refused_with_a_reason(file, changes, length, more):
    content = bytearray(file[:length] + more)
    for at, value in changes:
        if at < len(content):
            content[at] = value
    try:
        assert read(bytes(content), 10_000).image.mode == "RGB"
    except ImageError as error:
        assert "image" in str(error) or "MAX_IMAGE_PIXELS" in str(error)  # noqa: PT017  either is right


@settings(deadline=None, max_examples=300)
@given(
    start=st.sampled_from([file[:40] for file in FILES] + [b"", b"\0\0\0\x18ftypheic", b"<svg", b"RIFF\0\0\0\0WEBP"]),
    rest=st.binary(),
)
def test_any_bytes_are_read_or_refused_with_a_reason(start, rest):
    try:
        assert read(start + rest, 10_000).image.mode == "RGB"
    except ImageError as error:
        assert "image" in str(error) or "MAX_IMAGE_PIXELS" in str(error)  # noqa: PT017  either is right


@given(
    exif=st.binary()
    | st.binary().map(lambda rest: b"II*\0\x08\0\0\0" + rest)
    | st.binary().map(lambda rest: b"MM\0*\0\0\0\x08" + rest)
)
def test_any_exif_data_give_an_orientation(exif):
    assert orientation(exif) in range(1, 9)
