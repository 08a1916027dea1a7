"""Image files as bytes: which kind they are, and their pixels without the metadata around them. Decodes nothing."""

import struct
import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
ORIENTATION = 0x0112  # the EXIF tag
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PNG_TRANSPARENCY = {0: (2,), 2: (6,), 3: range(257)}  # lengths of tRNS by colour type
_JFIF, _EXIF, _ADOBE, _COMMENT, _SCAN = 0xE0, 0xE1, 0xEE, 0xFE, 0xDA
_LONG_ENOUGH = {_JFIF: 14, _ADOBE: 12}  # the two application segments that say how colours are stored
_STARTS = {
    b"": "an empty file",
    JPEG: "JPEG",
    PNG: "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript file",
    b"8BPS": "a Photoshop file",
    b"\0\0\x01\0": "an icon (ICO)",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"gimp xcf": "a GIMP file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x1aE\xdf\xa3": "a video (Matroska or WebM)",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}
_BRANDS = {
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC", b"hevx": "HEIC", b"mif1": "HEIC",
    b"msf1": "HEIC", b"avif": "AVIF", b"avis": "AVIF",
}  # fmt: skip


def format_of(content: bytes) -> str:
    """The format of `content` by its first bytes: JPEG, PNG, GIF, BMP, TIFF, WEBP, AVIF, HEIC, or what it is instead.

    Empty where nothing is known.
    """
    for start, kind in _STARTS.items():
        if content.startswith(start) and (start or not content):
            return kind
    if content[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "a video (AVI)"}.get(content[8:12], "")
    if content[4:8] == b"ftyp":
        brands = [content[8:12], *(content[i : i + 4] for i in range(16, min(int.from_bytes(content[:4]), 64), 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), "a video (MP4 or QuickTime)")
    if content[:1] == b"P" and content[1:2] in b"1234567" and content[2:3].isspace():
        return "PPM"
    if content[128:132] == b"DICM":
        return "a DICOM file"
    return _kind_of_text(content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower())


def _kind_of_text(start: bytes) -> str:
    if b"<svg" in start and start.startswith(b"<"):
        return "an SVG drawing"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or (start.startswith(b"<") and b"<html" in start):
        return "a web page (HTML), such as a login or an error page"
    if start.startswith(b"<?xml") or (start.startswith(b"<") and b"<error" in start):
        return "an XML document, such as a storage's error message"
    if start.startswith((b"{", b"[")) and b"\0" not in start:
        return "a JSON document"
    return ""


def without_metadata(content: bytes) -> tuple[bytes, bytes]:
    """A JPEG or PNG without what is not needed for its pixels, and its EXIF data. Other files come back as they are.

    A comment or colour profile of any size, or with an error, can then stop nobody from decoding the pixels.
    """
    if content.startswith(PNG):
        return _bare_png(content)
    if content.startswith(JPEG):
        return _bare_jpeg(content)
    return content, b""


def _bare_png(content: bytes) -> tuple[bytes, bytes]:
    parts, exif = [PNG], b""
    colour_type = content[25] if len(content) > 25 else 0
    at = len(PNG)
    while at < len(content):
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        end = at + 12 + length
        data = content[at + 8 : end - 4]
        if kind == b"eXIf":
            exif = exif or data
        elif kind == b"tRNS":
            sound = zlib.crc32(kind + data) == int.from_bytes(content[end - 4 : end])
            if sound and length in _PNG_TRANSPARENCY.get(colour_type, ()):
                parts.append(_scaled(data, content[24]) if colour_type == 0 else content[at:end])
        elif kind in _PNG_PIXELS:
            parts.append(content[at:end])
        at = end
    return b"".join(parts), exif


def _scaled(grey: bytes, depth: int) -> bytes:
    """The tRNS of a grey PNG of `depth` bits. Pillow makes 2 and 4 bits 8, but not of the value that is transparent."""
    most = 2**depth - 1
    value = int.from_bytes(grey) & most
    data = b"tRNS" + (value * 255 // most if depth in (2, 4) else value).to_bytes(2)
    return (2).to_bytes(4) + data + zlib.crc32(data).to_bytes(4)


def _bare_jpeg(content: bytes) -> tuple[bytes, bytes]:
    parts, exif, at = [JPEG], b"", len(JPEG)
    for marker, start, end in _segments(content):
        data = content[start + 4 : end]
        if marker == _EXIF and data.startswith(b"Exif\0\0"):
            exif = exif or data[6:]
        metadata = 0xE0 <= marker <= 0xEF or marker == _COMMENT
        if not metadata or len(data) >= _LONG_ENOUGH.get(marker, len(content)):
            parts.append(content[start:end])
        at = end
    return b"".join([*parts, content[at:]]), exif


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment of a JPEG's header, up to its first scan or to what is no segment."""
    at = len(JPEG)
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(content[at + 2 : at + 4])
        end = at + 2 + length
        if marker == _SCAN or length < 2 or end > len(content):
            return
        yield marker, at, end
        at = end


def scans(content: bytes) -> int:
    """How many scans of a JPEG have begun. A progressive one shows the whole image once its first scan is complete."""
    return content.count(bytes((0xFF, _SCAN)))  # within a scan 0xFF is followed by zero


def is_cut_off_webp(content: bytes) -> bool:
    """Whether a WEBP file is shorter than it says."""
    return len(content) < int.from_bytes(content[4:8], "little") + 8


def orientation(exif: bytes) -> int:
    """The orientation that EXIF data hold, 1 to 8; 1 (upright) where they hold none or cannot be read."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return 1
        (at,) = struct.unpack_from(f"{order}4xI", exif)
        (entries,) = struct.unpack_from(f"{order}H", exif, at)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, at + 2 + 12 * entry)
            if tag == ORIENTATION:
                return value if kind == 3 and 1 <= value <= 8 else 1  # 3: an unsigned short
    except struct.error:
        pass
    return 1
