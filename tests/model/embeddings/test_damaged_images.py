"""Bytes that are broken, cut off, or no image at all: what can be read of them, or an error that says why not."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from model.embeddings.images import ImageError, decode, read
from model.networks.preprocessing import CENTRE_CROP, IMAGENET_MEAN
from tests.model.image_bytes import LIMIT, ORIENTATION, chunk, encoded, halves, is_red, photo

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of broken tags


def with_chunk(extra):
    """A PNG with a chunk more behind its header."""
    content = encoded(halves())
    return content[:33] + extra + content[33:]


def with_segment(marker, content):
    """A JPEG with a segment more at its start."""
    return b"\xff\xd8" + bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content + encoded(halves(), "JPEG")[2:]


MUCH = zlib.compress(b"a" * 2_000_000)
BROKEN_METADATA = {
    "EXIF that is no TIFF, in a PNG": with_chunk(chunk(b"eXIf", b"garbage")),
    "EXIF that is no TIFF, in a JPEG": with_segment(0xE1, b"Exif\0\0garbage"),
    "EXIF that points behind its end": with_segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "EXIF cut off": with_segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12"),
    "text of 2 MB": with_chunk(chunk(b"zTXt", b"c\0\0" + MUCH)),
    "international text of 2 MB": with_chunk(chunk(b"iTXt", b"c\0\1\0\0\0" + MUCH)),
    "a colour profile of 2 MB": with_chunk(chunk(b"iCCP", b"c\0\0" + MUCH)),
    "a colour profile that is none": with_chunk(chunk(b"iCCP", b"x")),
    "a wrong check sum of a comment": with_chunk(chunk(b"tEXt", b"Comment\0hi", crc=1)),
    "a wrong check sum of the transparency": with_chunk(chunk(b"tRNS", b"\0" * 6, crc=1)),
    "a transparency of no sensible length": with_chunk(chunk(b"tRNS", b"\0")),
    "an empty physical size": with_chunk(chunk(b"pHYs", b"")),
    "an animation without frames": with_chunk(chunk(b"acTL", b"\0" * 8)),
    "a short JFIF segment": with_segment(0xE0, b"JFIF\0"),
    "a short Adobe segment": with_segment(0xEE, b"Adobe"),
    "multiple pictures that are not there": with_segment(0xE2, b"MPF\0II*\0\xff\0\0\0"),
    "part 3 of 2 of a colour profile": with_segment(0xE2, b"ICC_PROFILE\0\x03\x02"),
    "XMP that is no XML": with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<<<"),
    "Photoshop data cut off": with_segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed"),
    "a comment that is no UTF-8": with_segment(0xFE, b"\xff\xfe"),
}


@pytest.mark.parametrize("content", BROKEN_METADATA.values(), ids=BROKEN_METADATA)
def test_broken_metadata_are_ignored(content):
    image = read(content, LIMIT).image
    assert [is_red(image, (5, 5)), is_red(image, (60, 5)), image.size] == [True, False, (64, 32)]


def test_broken_exif_data_of_a_webp_are_ignored():
    assert is_red(decode(encoded(halves(), "WEBP", exif=b"garbage"), LIMIT), (5, 5))


def test_an_orientation_beside_broken_entries_is_honoured():
    exif = struct.pack("<2sHIH", b"II", 42, 8, 2) + struct.pack("<HHII", 0x010F, 2, 2**31, 2**31)
    exif += struct.pack("<HHIHH", ORIENTATION, 3, 1, 3, 0)
    assert not is_red(decode(with_segment(0xE1, b"Exif\0\0" + exif), LIMIT), (5, 5))


NO_IMAGES = {
    "an empty file": b"",
    "unknown": b"\x00",
    "format is unknown": b"no image at all",
    "a web page": b"\n<!DOCTYPE html><html><body>Log in</body></html>",
    "an SVG drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "an XML document": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "a JSON document": b'{"detail": "Not found."}',
    "a PDF document": b"%PDF-1.7 ...",
    "a PostScript file": b"%!PS-Adobe-3.0 EPSF-3.0",
    "a Photoshop file": b"8BPS\0\1",
    "a ZIP archive": b"PK\x03\x04....",
    "a video": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
    "a DICOM file": b"\0" * 128 + b"DICM",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "a broken TIFF file": b"II*\0\xff\xff\xff\xff",
    "a broken GIF file": b"GIF89a\1",
    "a broken AVIF file": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
}


@pytest.mark.parametrize(("name", "content"), NO_IMAGES.items(), ids=NO_IMAGES)
def test_bytes_that_are_no_image_are_called_by_their_name(name, content):
    with pytest.raises(ImageError, match=f"not a readable image: .*{name}"):
        decode(content, LIMIT)


@pytest.mark.parametrize("name", ["HEIC", "TIFF", "AVIF", "GIF", "WEBP"])
def test_equal_faults_have_equal_reasons(name):
    starts = {"HEIC": b"\0\0\0\x18ftypheic", "TIFF": b"II*\0", "AVIF": b"\0\0\0\x1cftypavif", "GIF": b"GIF89a", "WEBP": b"RIFF"}
    reasons = set()
    for length in (10, 20):
        with pytest.raises(ImageError) as refused:
            decode(starts[name] + b"\1" * length, LIMIT)
        reasons.add(str(refused.value))
    assert len(reasons) == 1


HEIC_HEADER = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_a_heic_photo_without_the_extra_says_how_to_read_it(monkeypatch):
    monkeypatch.setattr("model.embeddings.images._heic_is_installed", lambda: False)
    with pytest.raises(ImageError, match=r"a HEIC photo; convert it to JPEG, or install the extra.*\[heic\]"):
        decode(HEIC_HEADER, LIMIT)


def test_a_heic_photo_is_read_with_the_extra():
    pytest.importorskip("pillow_heif").register_heif_opener()
    content = encoded(halves(), "HEIF", quality=95)
    assert [is_red(decode(content, LIMIT), at) for at in ((5, 5), (60, 5))] == [True, False]


def test_a_broken_heic_photo_is_refused():
    with pytest.raises(ImageError, match="HEIC"):
        decode(HEIC_HEADER, LIMIT)


def detailed(width=640, height=480):
    """A photo in which no row is like another."""
    noise = np.random.default_rng(0).integers(1, 255, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def like_the_whole(content, share):
    """What is read of the first `share` of a file, and which share of its upper rows is like the whole's."""
    part = read(content[: int(len(content) * share)], LIMIT)
    whole = np.asarray(read(content, LIMIT).image, int)
    same = np.abs(np.asarray(part.image, int) - whole).max(axis=(1, 2)) < 3
    return part, (len(same) if same.all() else int(same.argmin())) / len(same)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.95])
def test_a_file_that_was_cut_off_is_read_as_far_as_its_rows_go(kind, share):
    part, same = like_the_whole(encoded(detailed(), kind), share)
    assert (part.note, part.image.size) == ("cut off: the lower rows are missing", (640, 480))
    assert same == pytest.approx(share, abs=0.08)


def test_rows_that_did_not_come_are_zero_to_the_network():
    part = read(encoded(detailed())[:200_000], LIMIT)
    missing = CENTRE_CROP.prepare(part.image)[-50:] / 255 - IMAGENET_MEAN
    assert np.abs(missing).max() < 0.005


def test_a_jpeg_without_its_last_two_bytes_is_whole_but_for_a_note():
    content = encoded(detailed(), "JPEG")
    part, same = like_the_whole(content, 1 - 2 / len(content))
    assert (part.note, same) == ("cut off: its end is missing", 1)


def test_a_progressive_jpeg_that_was_cut_off_is_read_less_sharp():
    part, _ = like_the_whole(encoded(detailed(), "JPEG", progressive=True), 0.5)
    whole = np.asarray(detailed(), int)
    assert part.note == "cut off: its end is missing"
    assert np.abs(np.asarray(part.image, int) - whole).mean(axis=(0, 1)).max() < 15


def test_a_photo_on_its_side_that_was_cut_off_is_turned():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = encoded(detailed(), "JPEG", exif=exif)
    assert read(content[: len(content) // 2], LIMIT).image.size == (480, 640)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_of_which_next_to_nothing_came_is_refused(kind):
    content = encoded(detailed(), kind)
    with pytest.raises(ImageError, match="less than a tenth came"):
        read(content[: len(content) // 20], LIMIT)


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_other_files_that_were_cut_off_are_refused(kind, share):
    content = encoded(detailed(160, 120), kind)
    with pytest.raises(ImageError, match=f"a broken {kind} file, which is cut off"):
        read(content[: int(len(content) * share)], LIMIT)


def test_a_whole_image_lacks_nothing():
    assert {read(encoded(photo(64, 48), kind), LIMIT).note for kind in ("JPEG", "PNG", "WEBP", "GIF")} == {""}
