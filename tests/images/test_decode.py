"""Decoding of image files and data URLs; the images are built here with Pillow or byte by byte."""

import struct
import sys
import zlib
from base64 import b64encode
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, features

from inference.images.data_urls import data_url_bytes, is_data_url
from inference.images.decode import ImageFile, decode_data_url, decode_image
from inference.images.formats import ImageError, _heif_registered
from inference.settings import Settings

Pixels = NDArray[np.uint8]

LIMIT = 1_000_000
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
LOSSLESS = ("PNG", "GIF", "BMP", "TIFF")
FORMATS = (*LOSSLESS, "JPEG", "WEBP", *(("AVIF",) if features.check("avif") else ()))


def corners() -> Image.Image:
    """6 wide, 4 high: red left half, green right half, blue top left pixel."""
    image = Image.new("RGB", (6, 4), RED)
    image.paste(GREEN, (3, 0, 6, 4))
    image.putpixel((0, 0), BLUE)
    return image


def written(image: Image.Image, name: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def url(data: bytes, label: str = "image/png") -> str:
    return f"data:{label};base64,{b64encode(data).decode()}"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_are_decoded_exactly(name: str) -> None:
    pixels = decode_data_url(url(written(corners(), name)), LIMIT)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(corners()))


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_is_sniffed_from_the_bytes_not_the_label(name: str) -> None:
    large = corners().resize((96, 64), Image.Resampling.NEAREST)
    pixels = decode_data_url(url(written(large, name), "text/plain"), LIMIT)
    assert pixels.shape == (64, 96, 3)
    np.testing.assert_allclose(pixels[40, 10], RED, atol=6)
    np.testing.assert_allclose(pixels[40, 80], GREEN, atol=6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_exif_orientation_is_undone(name: str, orientation: int) -> None:
    """The stored pixels are turned by hand so that applying the tag brings the original back."""
    original = np.asarray(corners())
    stored = {
        1: original,
        2: original[:, ::-1],
        3: original[::-1, ::-1],
        4: original[::-1],
        5: original.transpose(1, 0, 2),
        6: np.rot90(original),
        7: original[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(original, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[0x0112] = orientation
    pixels = decode_image(written(image, name, exif=exif), LIMIT)
    np.testing.assert_array_equal(pixels, original)


@pytest.mark.parametrize(
    "exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00II*\x00\xff\xff\xff\x7f", b"Exif\x00\x00"]
)
def test_broken_exif_leaves_the_image_readable(exif: bytes) -> None:
    assert decode_image(written(corners(), "JPEG", exif=exif), LIMIT).shape == (4, 6, 3)


def test_transparency_is_blended_with_white() -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 128))
    np.testing.assert_allclose(
        decode_image(written(image, "PNG"), LIMIT)[0], [WHITE, (255, 127, 127)], atol=1
    )


def test_gray_with_alpha_is_blended_with_white() -> None:
    image = Image.new("LA", (2, 1), (9, 0))
    image.putpixel((1, 0), (9, 255))
    np.testing.assert_array_equal(decode_image(written(image, "PNG"), LIMIT)[0], [WHITE, (9, 9, 9)])


@pytest.mark.parametrize("name", ["PNG", "GIF"])
def test_a_transparent_palette_colour_becomes_white(name: str) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([*RED, *GREEN])
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(decode_image(written(image, name), LIMIT)[0], [RED, GREEN])
    see_through = written(image, name, transparency=1)
    np.testing.assert_array_equal(decode_image(see_through, LIMIT)[0], [RED, WHITE])


@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_becomes_rgb(mode: str) -> None:
    pixels = decode_image(written(Image.new(mode, (3, 2), 255), "PNG"), LIMIT)
    np.testing.assert_array_equal(pixels, np.full((2, 3, 3), 255))


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_sixteen_bits_keep_the_high_byte(name: str) -> None:
    image = Image.fromarray(np.array([[0, 0x12FF, 0xFFFF]], np.uint16))
    pixels = decode_image(written(image, name), LIMIT)
    np.testing.assert_array_equal(pixels[0], [[0] * 3, [0x12] * 3, [255] * 3])


def test_sixteen_bit_colour_becomes_eight_bit() -> None:
    samples = zlib.compress(b"\x00" + struct.pack(">3H", 0xFFFF, 0x8000, 0x00FF))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", samples) + chunk(b"IEND", b"")
    np.testing.assert_allclose(decode_image(data, LIMIT)[0, 0], [255, 128, 0], atol=1)


def test_cmyk_becomes_rgb() -> None:
    pixels = decode_image(written(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), LIMIT)
    np.testing.assert_allclose(pixels[4, 4], RED, atol=8)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    data = written(frames[0], name, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode_image(data, LIMIT)[4, 4], RED, atol=6)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_thirty_two_bits_a_channel_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match="32 bits"):
        decode_image(written(Image.new(mode, (2, 2)), "TIFF"), LIMIT)


def test_base64_is_decoded_as_browsers_decode_it() -> None:
    data = b"\xfb\xff\xfe\x00"
    for text in ("+//+AA==", "+//+AA", " +//+\n AA==\r\n", "%2B//%2BAA%3D%3D"):
        assert data_url_bytes(f"DATA:image/png;charset=x;BASE64,{text}") == data


@pytest.mark.parametrize(
    "before",
    ["image/png; base64", "image/png;   Base64 ", ";base64", "image/png;a=b; base64\n", "x ;\tbase64"],
)
def test_the_mark_of_base64_is_read_as_browsers_read_it(before: str) -> None:
    assert is_data_url(f" \ndata:{before},")
    assert data_url_bytes(f" \ndata:{before},+//+AA#part") == b"\xfb\xff\xfe\x00"


def test_a_percent_encoded_image_is_decoded() -> None:
    data = written(corners(), "PNG")
    pixels = decode_data_url(f"data:image/png,{quote_from_bytes(data)}", LIMIT)
    np.testing.assert_array_equal(pixels, np.asarray(corners()))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("http://example.com/cat.png", "data URLs only"),
        ("https://example.com/cat.png", "data URLs only"),
        ("file:///etc/passwd", "data URLs only"),
        ("", "data URLs only"),
        ("iVBORw0KGgo=", "data URLs only"),
        ("data:image/png;base64", "not base64"),
        ("data:image/png,%89PN", "not base64"),
        ("data:image/png;base64;x,AAAA", "not base64"),
        ("data:image/png,iVBORw0KGgo=", "not base64"),
        ("data:,", "not base64"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64,  ", "empty"),
        ("data:image/png;base64,A", "base64 is broken"),
        ("data:image/png;base64,AA=A", "base64 is broken"),
        ("data:image/png;base64,-_-_", "base64 is broken"),
        ("data:image/png;base64,ÄÖÜ0", "base64 is broken"),
        ("data:image/png;base64,AAAA", "not an image"),
    ],
)
def test_urls_without_an_image_are_refused(bad: str, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        decode_data_url(bad, LIMIT)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is not accepted"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><SVG/>", "SVG is not accepted"),
        (b"%PDF-1.7", "not an image"),
        (b"MZ\x90\x00", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not an image"),
        (b"P6 1 1 255 \x00\x00\x00", "not an image"),
        (b"\x00\x00\x00\x20ftypavif", "AVIF image is damaged"),
        (b"\x00\x00\x00\x20ftypmp42\x00\x00\x00\x00isomavc1", "not an image"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC is read where"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "HEIC is read where"),
        (b"BM", "BMP image is damaged"),
        (b"GIF89a", "GIF image is damaged"),
        (b"GIF89a/*\x00\x00*/=1;alert(1)//", "GIF image is damaged"),
        (b"\xff\xd8\xff\xe0", "JPEG image is damaged"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "WEBP image is damaged"),
        (b"II*\x00\x08\x00\x00\x00\xff\xff", "TIFF image is damaged"),
        (b"\x89PNG\r\n\x1a\n<svg/>", "PNG image is damaged"),
        (png_header(4, 4), "PNG image is damaged"),
        (png_header(4, 4) + chunk(b"IDAT", b"not deflate") + chunk(b"IEND", b""), "PNG image is damaged"),
        (png_header(0, 4) + chunk(b"IEND", b""), "PNG image is damaged"),
    ],
)
def test_bytes_that_are_no_image_are_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        decode_image(data, LIMIT)


def test_bytes_after_an_image_are_ignored() -> None:
    pixels = decode_image(written(corners(), "PNG") + b"<script>alert(1)</script>", LIMIT)
    np.testing.assert_array_equal(pixels, np.asarray(corners()))


@pytest.mark.parametrize("name", FORMATS)
def test_the_pixel_limit_holds_for_every_format(name: str) -> None:
    data = written(Image.new("RGB", (40, 30)), name)
    assert decode_image(data, 1200).shape == (30, 40, 3)
    with pytest.raises(ImageError, match="40 x 30 pixels; at most 1199"):
        decode_image(data, 1199)


@pytest.mark.parametrize("side", [2_000, 10_000, 100_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    """No pixel data follows the header, so a refusal that names the size came before any decoding."""
    with pytest.raises(ImageError, match=f"at most {LIMIT}"):
        decode_image(png_header(side, side) + chunk(b"IDAT", b"") + chunk(b"IEND", b""), LIMIT)


def test_a_metadata_bomb_is_refused() -> None:
    text = chunk(b"zTXt", b"key\x00\x00" + zlib.compress(bytes(80_000_000), 9))
    data = written(corners(), "PNG")
    with pytest.raises(ImageError, match="damaged"):
        decode_image(data[:33] + text + data[33:], LIMIT)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_image_is_refused_or_whole(name: str, share: float) -> None:
    data = TEXTURES[name]
    try:
        pixels = decode_image(data[: int(share * len(data))], LIMIT)
    except ImageError:
        return
    np.testing.assert_array_equal(pixels, decode_image(data, LIMIT))


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_damaged_bytes_raise_image_errors_only(name: str, places: list[tuple[float, int]]) -> None:
    data = bytearray(TEXTURES[name])
    for share, value in places:
        data[int(share * len(data))] = value
    try:
        pixels = decode_image(bytes(data), LIMIT)
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert pixels.shape[0] * pixels.shape[1] <= LIMIT


def texture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8))


TEXTURES = {name: written(texture(), name) for name in FORMATS}


def test_a_photo_of_24_megapixels_passes_the_default_limits() -> None:
    settings = Settings()
    data = written(Image.new("L", (5712, 4284)), "JPEG")
    assert ImageFile.open(data, settings.max_image_pixels, settings.max_image_bytes).pixels == 24_470_208
    assert settings.max_request_pixels >= 4 * 24_470_208


def test_heic_is_read_where_its_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = SimpleNamespace(register_heif_opener=lambda: None)
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    _heif_registered.cache_clear()
    try:
        with pytest.raises(ImageError, match="HEIF image is damaged"):
            decode_image(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", LIMIT)
    finally:
        _heif_registered.cache_clear()
