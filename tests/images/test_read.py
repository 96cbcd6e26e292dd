from __future__ import annotations

import colorsys
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import ImageError
from netvlad.images.read import decode_image, fit_size, read_image

FRAME = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3  # every pixel another colour


def saved(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, kind, **options)
    return file.getvalue()


def texture(width: int, height: int) -> np.ndarray:
    """Smooth colours that every way of scaling down agrees on."""
    coarse = np.random.default_rng(7).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def over_white(colour, alpha) -> np.ndarray:
    """The mixture of a colour with white, by hand."""
    return 255 + (np.asarray(colour, dtype=float) - 255) * (np.asarray(alpha, dtype=float)[..., None] / 255)


# -- modes ----------------------------------------------------------------------------------------------------------


def test_rgb_comes_back_to_the_last_bit():
    for source in (saved(FRAME), Image.fromarray(FRAME), FRAME):
        out = read_image(source)
        assert out.dtype == np.uint8
        np.testing.assert_array_equal(out, FRAME)


def test_black_and_white():
    bits = np.array([[True, False, True], [False, False, True]])
    expected = np.repeat(np.where(bits, 255, 0)[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(read_image(saved(Image.fromarray(bits))), expected)


def test_grey_is_repeated():
    grey = np.array([[0, 7, 255], [128, 1, 254]], dtype=np.uint8)
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read_image(saved(grey, kind)), np.repeat(grey[:, :, None], 3, axis=2))


def test_grey_with_alpha_lies_over_white():
    values = np.array([[[10, 255], [10, 0], [200, 51]]], dtype=np.uint8)
    out = read_image(saved(Image.fromarray(values, "LA")))
    np.testing.assert_allclose(out, np.array([[[10] * 3, [255] * 3, [244] * 3]]), atol=1)  # 255 - 55 * 51/255 = 244


def test_rgba_lies_over_white():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (16, 16, 4), dtype=np.uint8)
    values[0, :, 3], values[1, :, 3] = 0, 255
    out = read_image(saved(values))
    np.testing.assert_allclose(out, over_white(values[..., :3], values[..., 3]), atol=1)
    assert (out[0] == 255).all()
    np.testing.assert_array_equal(out[1], values[1, :, :3])


@pytest.mark.parametrize("mode", ["RGBa", "La"])
def test_premultiplied_alpha_lies_over_white(mode):
    plain = Image.fromarray(np.array([[[200, 100, 40, 255], [200, 100, 40, 0], [200, 100, 40, 102]]], dtype=np.uint8))
    premultiplied = plain.convert("RGBa") if mode == "RGBa" else plain.convert("LA").convert("La")
    assert premultiplied.mode == mode
    colour = [200, 100, 40] if mode == "RGBa" else [123] * 3  # grey: 0.299 * 200 + 0.587 * 100 + 0.114 * 40
    np.testing.assert_allclose(read_image(premultiplied), [over_white([colour] * 3, [255, 0, 102])], atol=2)


def palette_image(mode: str = "P") -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    image.putdata([0, 1, 2])
    return image


def test_palette():
    np.testing.assert_array_equal(read_image(saved(palette_image())), [[[255, 0, 0], [0, 255, 0], [10, 20, 30]]])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_one_transparent_colour(kind):
    out = read_image(saved(palette_image(), kind, transparency=1))
    np.testing.assert_array_equal(out, [[[255, 0, 0], [255, 255, 255], [10, 20, 30]]])


def test_palette_with_an_alpha_for_each_colour():
    out = read_image(saved(palette_image(), transparency=bytes([255, 0, 51])))
    np.testing.assert_allclose(out, [[[255, 0, 0], [255, 255, 255], over_white([10, 20, 30], 51)]], atol=1)


def test_palette_with_an_alpha_channel():
    image = palette_image().convert("PA")
    image.putalpha(Image.fromarray(np.array([[255, 0, 51]], dtype=np.uint8)))
    assert image.mode == "PA"
    np.testing.assert_allclose(
        read_image(image), [[[255, 0, 0], [255, 255, 255], over_white([10, 20, 30], 51)]], atol=1
    )


@pytest.mark.parametrize(("mode", "key"), [("RGB", (10, 20, 30)), ("L", 7), ("1", 0)])
def test_a_transparent_colour_without_palette_lies_over_white(mode, key):
    image = Image.new(mode, (3, 2), key)
    image.putpixel((1, 1), {"RGB": (10, 20, 31), "L": 8, "1": 1}[mode])
    out = read_image(saved(image, transparency=key))
    assert out.reshape(6, 3)[[0, 1, 2, 3, 5]].min() == 255
    np.testing.assert_array_equal(out[1, 1], {"RGB": (10, 20, 31), "L": (8, 8, 8), "1": (255, 255, 255)}[mode])


def test_cmyk():
    cmyk = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255], [51, 102, 0, 51]]], np.uint8)
    c, k = cmyk[..., :3].astype(float), cmyk[..., 3:].astype(float)
    expected = (255 - c) * (255 - k) / 255
    np.testing.assert_allclose(read_image(saved(Image.fromarray(cmyk, "CMYK"), "TIFF")), expected, atol=1)


def test_cmyk_jpeg_is_not_a_negative():
    image = Image.new("CMYK", (16, 16), (0, 200, 200, 0))  # as printers write red
    np.testing.assert_allclose(read_image(saved(image, "JPEG"))[8, 8], [255, 55, 55], atol=3)


def test_ycbcr():
    ycbcr = np.array([[[76, 85, 255], [128, 128, 128], [150, 44, 21]]], dtype=np.uint8)
    y, cb, cr = np.moveaxis(ycbcr.astype(float), -1, 0)
    expected = np.stack(
        [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)], axis=-1
    )
    np.testing.assert_allclose(read_image(Image.fromarray(ycbcr, "YCbCr")), np.clip(expected, 0, 255), atol=2)


def test_lab():
    # a TIFF with CIE L*a*b* pixels: L in 0..255, a and b signed. Colours by the CIE formulas, D50
    lab = np.array([[[0, 0, 0], [255, 0, 0], [128, 0, 0], [140, 30, 20], [180, -40, 30]]], dtype=np.int16)
    image = Image.frombytes("LAB", (5, 1), lab.astype(np.int8).tobytes())
    out = read_image(saved(image, "TIFF"))
    np.testing.assert_allclose(out[0], [_srgb_of_lab(*colour) for colour in lab[0]], atol=3)


def _srgb_of_lab(lightness, a, b) -> np.ndarray:
    fy = (lightness / 2.55 + 16) / 116
    f = np.array([fy + a / 500, fy, fy - b / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1.0, 0.8249]
    linear = np.array([[3.1339, -1.6169, -0.4906], [-0.9788, 1.9161, 0.0335], [0.0719, -0.2290, 1.4052]]) @ xyz
    linear = linear.clip(0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def test_hsv():
    hsv = np.array([[[0, 255, 255], [85, 255, 200], [128, 60, 90], [10, 0, 77]]], dtype=np.uint8)
    expected = [[[255 * c for c in colorsys.hsv_to_rgb(*(v / 255))] for v in hsv[0].astype(float)]]
    np.testing.assert_allclose(read_image(Image.fromarray(hsv, "HSV")), expected, atol=2)


DEEP = np.array([[0, 255, 256], [0x1234, 0xFF00, 0xFFFF]], dtype=np.uint16)
UPPER = np.array([[0, 0, 1], [0x12, 0xFF, 0xFF]], dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_the_upper_eight(kind):
    data = saved(DEEP, kind)
    assert Image.open(io.BytesIO(data)).mode.startswith("I;16")
    np.testing.assert_array_equal(read_image(data), np.repeat(UPPER[:, :, None], 3, axis=2))


@pytest.mark.parametrize(("mode", "order"), [("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2")])
def test_sixteen_bits_in_either_byte_order(mode, order):
    image = Image.frombytes(mode, (3, 2), DEEP.astype(order).tobytes())
    np.testing.assert_array_equal(read_image(image)[..., 1], UPPER)


def test_a_big_endian_sixteen_bit_tiff():
    pixels = DEEP.astype(">u2").tobytes()
    tags = [(256, 4, 3), (257, 4, 2), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 12)]
    data = b"MM\0*" + struct.pack(">I", 8 + 12) + pixels + struct.pack(">H", len(tags))
    for tag, kind, value in tags:
        data += struct.pack(">HHI", tag, kind, 1) + struct.pack(">HH" if kind == 3 else ">I", *([value, 0][: 5 - kind]))
    data += struct.pack(">I", 0)
    assert Image.open(io.BytesIO(data)).mode == "I;16B"
    np.testing.assert_array_equal(read_image(data)[..., 2], UPPER)


def test_thirty_two_bit_integers_are_read_as_sixteen_bit():
    np.testing.assert_array_equal(read_image(saved(DEEP.astype(np.int32), "TIFF"))[..., 0], UPPER)


@pytest.mark.parametrize("value", [-1, 65536])
def test_thirty_two_bit_integers_beyond_are_refused(tmp_path, value):
    path = tmp_path / "height.tif"
    path.write_bytes(saved(np.full((2, 2), value, dtype=np.int32), "TIFF"))
    with pytest.raises(ImageError, match=r"height\.tif: .*beyond 0\.\.65535"):
        read_image(path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0, 0.5, 1.0]], [0, 128, 255]),  # 127.5 rounds to even
        ([[0, 0.5, 254.6]], [0, 0, 255]),  # one above 1: all are 0..255
        ([[-3, 300, 40.4]], [0, 255, 40]),
    ],
)
def test_floats(values, expected):
    out = read_image(saved(np.array(values, dtype=np.float32), "TIFF"))
    np.testing.assert_array_equal(out[0], np.repeat(np.array(expected)[:, None], 3, axis=1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_without_a_value_are_refused(value):
    with pytest.raises(ImageError, match="NaN or infinite"):
        read_image(saved(np.array([[0, value]], dtype=np.float32), "TIFF"))


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in [*chunks, (b"IEND", b"")]:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


@pytest.mark.parametrize(("colour_type", "bands"), [(2, 3), (6, 4), (4, 2)])
def test_sixteen_bit_colour_png(colour_type, bands):
    deep = np.random.default_rng(1).integers(0, 65536, (5, 4, bands)).astype(">u2")
    if bands != 3:
        deep[..., -1] = 65535
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", 4, 5, 16, colour_type, 0, 0, 0)
    out = read_image(_png([(b"IHDR", header), (b"IDAT", zlib.compress(rows))]))
    expected = deep[..., :3] if bands > 2 else np.repeat(deep[..., :1], 3, axis=2)
    np.testing.assert_array_equal(out, expected >> 8)


# -- orientation ----------------------------------------------------------------------------------------------------

UPRIGHT = {  # EXIF 2.32, tag 0x0112: what turns the stored rows upright
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_orientation(orientation, kind):
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif(orientation)}
    np.testing.assert_array_equal(read_image(saved(FRAME, kind, **options)), UPRIGHT[orientation](FRAME))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_of_a_scaled_jpeg(orientation):
    data = saved(texture(640, 400), "JPEG", quality=95, exif=exif(orientation))
    plain = read_image(saved(texture(640, 400), "JPEG", quality=95), resize=160)
    out = read_image(data, resize=160)
    assert max(out.shape) == 160
    # turned first, then scaled row by row and column by column with rounding between: not the same to the last bit
    np.testing.assert_allclose(out.astype(int), UPRIGHT[orientation](plain).astype(int), atol=1)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_is_none(orientation):
    np.testing.assert_array_equal(read_image(saved(FRAME, exif=exif(orientation))), FRAME)


def _tiff(*tags: tuple[int, int, bytes]) -> bytes:
    """An EXIF block, byte by byte: (tag, type, its 4 bytes)."""
    body = b"".join(struct.pack("<HHI", tag, kind, 1) + value for tag, kind, value in tags)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + body + b"\0\0\0\0"


SIDEWAYS = (0x0112, 3, struct.pack("<HH", 6, 0))


@pytest.mark.parametrize(
    "broken",
    [
        (0x011A, 2, b"abc\0"),  # a resolution that is a text
        (0x8769, 9, struct.pack("<i", -5)),  # the EXIF block before the file's beginning
        (0xA005, 2, b"abc\0"),
        (0x010F, 99, b"\1\0\0\0"),  # a type that does not exist
        (0x8825, 4, struct.pack("<I", 99999)),  # GPS beyond the end
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_broken_tag_does_not_hide_a_good_orientation(broken):
    data = saved(FRAME, exif=_tiff(SIDEWAYS, broken))
    np.testing.assert_array_equal(read_image(data), UPRIGHT[6](FRAME))


@pytest.mark.parametrize("block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40, b"?"])
def test_exif_that_cannot_be_read_tells_no_orientation(block):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor is a warning heard of it
        for kind in ("PNG", "WEBP"):
            options = {"lossless": True} if kind == "WEBP" else {}
            np.testing.assert_array_equal(read_image(saved(FRAME, kind, exif=block, **options)), FRAME)


# -- animations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_the_first_frame_of_several(kind, options):
    colours = [(200, 10, 20), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", (20, 10), colour) for colour in colours]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    out = read_image(data)
    assert out.shape == (10, 20, 3)
    assert (out == colours[0]).all()


# -- what cannot be read --------------------------------------------------------------------------------------------


def whole(kind: str) -> bytes:
    return saved(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), kind)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (whole("JPEG")[:-1500], "cannot be decoded (image file is truncated"),
        (whole("PNG")[:-1500], "cannot be decoded"),
        (whole("JPEG")[:30], "cannot be decoded (Truncated"),
        (whole("PNG")[:20], "cannot be decoded"),
        (whole("WEBP")[:-200], "cannot be decoded"),
        (whole("GIF")[:-3000], "cannot be decoded"),
        (whole("TIFF")[:1000], "cannot be decoded"),
        (b"", "is empty (0 bytes)"),
        (b"path,lat,lon\na.jpg,1,2\n", "is not an image in a format Pillow can read"),
        (b"\xff\xd8\xff", "is not an image"),
        (b"\0" * 5000, "is not an image"),
    ],
    ids=["jpeg", "png", "jpeg head", "png head", "webp", "gif", "tiff", "empty", "text", "soi", "zeros"],
)
def test_an_unreadable_file_is_named_with_its_reason(tmp_path, content, reason):
    path = tmp_path / "photo 1.jpg"
    path.write_bytes(content)
    for source, name in ((path, str(path)), (str(path), str(path)), (content, f"image of {len(content)} bytes")):
        with pytest.raises(ImageError) as error:
            read_image(source)
        assert str(error.value).startswith(f"{name}: {reason}")
        assert len(str(error.value)) < len(name) + 200
    for read in (lambda: read_image(path), lambda: decode_image(content, path)):
        with pytest.raises(ImageError) as error:
            read()
        assert error.value.path == str(path)
        assert error.value.reason.startswith(reason)


def test_decoded_as_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(holed(60, 40)))
    for options in ({}, {"resize": 30}, {"alpha": True, "resize": 30}):
        expected = read_image(path, **options)
        np.testing.assert_array_equal(decode_image(path.read_bytes(), "elsewhere.png", **options), expected)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.jpg: no such file$"):
        read_image(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match=r": is a folder, not a photo$"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="null"):
        read_image("a\0b.jpg")


@pytest.mark.parametrize("source", [None, 3, [[1, 2], [3, 4]]])
def test_things_that_are_no_image(source):
    with pytest.raises(ImageError, match=r"^image: "):
        read_image(source)


def test_the_pixel_limit():
    data = saved(np.zeros((10, 20, 3), dtype=np.uint8))
    assert read_image(data, max_pixels=200).shape == (10, 20, 3)
    with pytest.raises(ImageError, match=r"20x10 is 0 million pixels, the limit is 0 million"):
        read_image(data, max_pixels=199)


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [(15_001, 10_000, "150 million pixels, the limit is 150"), (65_000, 65_000, "more pixels than Pillow allows")],
)
def test_a_bomb_is_refused_before_it_is_decoded(width, height, reason):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=reason):
            read_image(_png([(b"IHDR", header), (b"IDAT", zlib.compress(b""))]))


# -- scaling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((640, 480), None, (640, 480)),
        ((640, 480), 640, (640, 480)),
        ((320, 240), 640, (320, 240)),
        ((1280, 960), 640, (640, 480)),
        ((960, 1280), 640, (480, 640)),
        ((1000, 333), 100, (100, 33)),
        ((5000, 1), 100, (100, 1)),
        ((1, 5000), 100, (1, 100)),
    ],
)
def test_fit_size(size, longest, expected):
    assert fit_size(*size, longest) == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_resize_is_of_the_longest_side_and_never_up(kind):
    for width, height, out in ((400, 300, (75, 100)), (300, 400, (100, 75)), (90, 60, (60, 90)), (100, 99, (99, 100))):
        assert read_image(saved(texture(width, height), kind), resize=100).shape == (*out, 3)


def test_resize_is_bicubic_with_antialiasing():
    photo = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)

    # to a third: Keys' kernel (a = -1/2) stretched by 3, worked out along each axis
    def shrink(a: np.ndarray) -> np.ndarray:
        centres = 3 * (np.arange(a.shape[0] // 3) + 0.5)
        t = np.abs(np.arange(a.shape[0])[None] + 0.5 - centres[:, None]) / 3
        kernel = np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))
        return np.tensordot(kernel / kernel.sum(1, keepdims=True), a, axes=1)

    expected = shrink(shrink(photo.astype(float)).transpose(1, 0, 2)).transpose(1, 0, 2)
    np.testing.assert_allclose(read_image(saved(photo), resize=40), np.clip(expected, 0, 255), atol=1.5)


@pytest.mark.parametrize("longest", [100, 150, 300, 799])
def test_a_jpeg_decoded_small_looks_like_one_scaled_down(longest):
    data = saved(texture(800, 600), "JPEG", quality=95)
    plain = Image.open(io.BytesIO(data)).resize(fit_size(800, 600, longest), Image.Resampling.BICUBIC)
    difference = np.abs(read_image(data, resize=longest).astype(int) - np.asarray(plain).astype(int))
    assert difference.mean() < 1
    assert difference.max() <= 8


# -- arrays and Pillow images ---------------------------------------------------------------------------------------


def test_arrays_are_checked_only():
    assert read_image(FRAME) is FRAME
    grey = FRAME[..., 0]
    np.testing.assert_array_equal(read_image(grey), np.stack([grey] * 3, axis=2))
    strided = texture(80, 60)[::-1, ::2]
    np.testing.assert_array_equal(read_image(strided, resize=30), read_image(np.ascontiguousarray(strided), resize=30))
    assert read_image(strided, resize=30).shape == (30, 20, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4, 3), dtype=np.int64),
        np.zeros((4, 4), dtype=np.uint16),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((4, 4, 1), dtype=np.uint8),
        np.zeros((3, 4, 5), dtype=np.uint8),
        np.zeros((1, 4, 4, 3), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((4,), dtype=np.uint8),
        np.zeros((), dtype=np.uint8),
    ],
    ids=lambda a: f"{a.shape} {a.dtype}",
)
def test_arrays_of_another_kind_are_refused(array):
    with pytest.raises(ImageError) as error:
        read_image(array)
    assert "HxWx3 or HxW uint8" in str(error.value)
    assert f"got {array.shape} {array.dtype}" in str(error.value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
def test_a_pillow_image_is_left_as_it_was(mode):
    image = Image.new("I;16", (60, 40), 513) if mode == "I;16" else Image.fromarray(texture(60, 40)).convert(mode)
    image.info["exif"] = exif(6).tobytes()
    before = (image.mode, image.size, image.tobytes(), dict(image.info), image.getexif().get(0x0112))
    out = read_image(image, resize=30)
    assert out.shape == (30, 20, 3)
    assert (image.mode, image.size, image.tobytes(), dict(image.info), image.getexif().get(0x0112)) == before


def test_an_opened_jpeg_is_left_as_it_was(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(texture(800, 600), "JPEG"))
    with Image.open(path) as image:
        assert read_image(image, resize=50).shape == (38, 50, 3)
        assert image.size == (800, 600)
        np.testing.assert_array_equal(np.asarray(image), read_image(path))


def test_what_is_read_is_no_window_on_the_pillow_image():
    image = Image.fromarray(FRAME)
    out = read_image(image)
    image.putpixel((0, 0), (255, 255, 255))
    np.testing.assert_array_equal(out, FRAME)


def test_a_broken_pillow_image_names_its_file(tmp_path):
    path = tmp_path / "half.png"
    path.write_bytes(whole("PNG")[:-1500])
    with Image.open(path) as image, pytest.raises(ImageError, match=r"half\.png: cannot be decoded"):
        read_image(image)


# -- undefined pixels -----------------------------------------------------------------------------------------------


def holed(width: int, height: int, seed: int = 0) -> np.ndarray:
    """An RGBA texture with a large hole, a crack and specks; the colours under them are noise."""
    rng = np.random.default_rng(seed)
    alpha = np.where(rng.random((height, width)) < 0.01, 0, 255)
    alpha[height // 4 : height // 2, width // 3 : width // 2] = 0
    alpha[:, -width // 5] = 0
    pixels = np.dstack([texture(width, height), alpha.astype(np.uint8)])
    pixels[alpha == 0, :3] = rng.integers(0, 256, ((alpha == 0).sum(), 3))
    return pixels


def recoloured(pixels: np.ndarray, colour=(255, 0, 255)) -> np.ndarray:
    """Other colours under the mask."""
    out = pixels.copy()
    out[pixels[..., 3] == 0, :3] = colour
    return out


def test_a_defined_photo_has_three_channels():
    soft = np.dstack([FRAME, np.full((4, 6), 128, dtype=np.uint8)])
    for source in (saved(FRAME), FRAME, saved(np.dstack([FRAME, np.full((4, 6), 255, dtype=np.uint8)]))):
        np.testing.assert_array_equal(read_image(source, alpha=True), FRAME)
    np.testing.assert_array_equal(read_image(saved(soft), alpha=True), read_image(saved(soft)))  # half over white
    np.testing.assert_array_equal(read_image(soft, alpha=True), read_image(saved(soft)))
    np.testing.assert_array_equal(read_image(saved(DEEP), alpha=True), np.repeat(UPPER[:, :, None], 3, axis=2))


def test_undefined_is_below_half():
    values = np.array([[[9, 8, 7, 255], [9, 8, 7, 128], [9, 8, 7, 127], [9, 8, 7, 0]]], dtype=np.uint8)
    out = read_image(values, alpha=True)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out[..., 3], [[255, 255, 0, 0]])
    np.testing.assert_allclose(out[0, 1, :3], over_white([9, 8, 7], 128), atol=1)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("WEBP", {"lossless": True, "exact": True})]
)
def test_holes_come_back_from_a_file(tmp_path, kind, options):
    pixels = holed(60, 40)
    path = tmp_path / f"view.{kind.lower()}"
    path.write_bytes(saved(pixels, kind, **options))
    out = read_image(path, alpha=True)
    assert out.shape == (40, 60, 4)
    np.testing.assert_array_equal(out[..., 3], pixels[..., 3])
    defined = pixels[..., 3] == 255
    np.testing.assert_array_equal(out[defined], pixels[defined])
    assert read_image(path).shape == (40, 60, 3)
    assert (read_image(path)[~defined] == 255).all()


def test_holes_come_back_from_a_lossy_webp():
    pixels = holed(60, 40)
    out = read_image(saved(pixels, "WEBP", quality=90), alpha=True)
    np.testing.assert_array_equal(out[..., 3], pixels[..., 3])


def test_an_undefined_pixel_has_the_nearest_defined_colour():
    pixels = holed(40, 30)
    pixels[..., :3] = np.arange(1200).reshape(30, 40, 1) // [1, 256, 1] % 256  # every pixel another colour
    out = read_image(pixels, alpha=True)
    rows, columns = np.nonzero(pixels[..., 3])
    for y, x in zip(*np.nonzero(pixels[..., 3] == 0), strict=True):
        distance = np.hypot(rows - y, columns - x)
        nearest = distance == distance.min()
        assert out[y, x, :3].tolist() in pixels[rows[nearest], columns[nearest], :3].tolist()


@pytest.mark.parametrize("longest", [None, 60, 37, 20, 1])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_colours_under_the_mask_are_never_seen(longest, kind):
    pixels = holed(60, 44)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    plain, other = (
        read_image(saved(p, kind, **options), resize=longest, alpha=True) for p in (pixels, recoloured(pixels))
    )
    assert max(plain.shape[:2]) == (longest or 60)
    np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize("longest", [45, 30, 29, 20, 13, 7])
def test_scaled_down_a_pixel_is_defined_only_if_all_of_it_was(longest):
    width, height = 60, 45
    rng = np.random.default_rng(longest)
    pixels = np.dstack([texture(width, height), np.where(rng.random((height, width)) < 0.02, 0, 255).astype(np.uint8)])
    out = read_image(pixels, resize=longest, alpha=True)
    w, h = fit_size(width, height, longest)
    for y in range(h):
        for x in range(w):
            top, bottom, left, right = y * height / h, (y + 1) * height / h, x * width / w, (x + 1) * width / w
            part = pixels[int(top) : int(np.ceil(bottom - 1e-6)), int(left) : int(np.ceil(right - 1e-6)), 3]
            assert out[y, x, 3] == part.min()


def test_scaled_down_a_hole_darkens_and_brightens_nothing():
    for colour in ((255, 255, 255), (0, 0, 0), (200, 100, 50)):
        pixels = holed(120, 90)
        pixels[pixels[..., 3] == 255, :3] = colour
        assert (read_image(pixels, resize=50, alpha=True)[..., :3] == colour).all()


def test_scaled_down_away_from_holes_all_is_as_without():
    pixels = np.dstack([texture(120, 90), np.full((90, 120), 255, dtype=np.uint8)])
    pixels[:, :30, 3] = 0
    out = read_image(pixels, resize=40, alpha=True)
    np.testing.assert_array_equal(out[..., 3] == 0, np.arange(40)[None].repeat(30, 0) < 10)
    plain = read_image(pixels[..., :3], resize=40)
    np.testing.assert_array_equal(out[:, 12:, :3], plain[:, 12:])  # a bicubic kernel reaches two pixels
    np.testing.assert_allclose(out[:, 10:12, :3].astype(int), plain[:, 10:12], atol=8)


def test_read_twice_is_read_once():
    for longest in (None, 33):
        once = read_image(holed(60, 40), resize=longest, alpha=True)
        np.testing.assert_array_equal(read_image(once, resize=longest, alpha=True), once)


@pytest.mark.parametrize("longest", [None, 10])
def test_nothing_defined_is_grey(longest):
    pixels = np.zeros((30, 40, 4), dtype=np.uint8)
    out = read_image(pixels, resize=longest, alpha=True)
    assert (out[..., :3] == 128).all()
    assert not out[..., 3].any()


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_holes_are_turned_upright(orientation):
    pixels = np.dstack([FRAME, np.where(np.arange(24).reshape(4, 6) == 8, 0, 255).astype(np.uint8)])
    out = read_image(saved(pixels, exif=exif(orientation)), alpha=True)
    np.testing.assert_array_equal(out[..., 3], UPRIGHT[orientation](pixels)[..., 3])


@pytest.mark.parametrize("mode", ["LA", "La", "RGBa", "PA"])
def test_holes_in_other_modes(mode):
    alpha = np.array([[255, 0, 255]], dtype=np.uint8)
    if mode == "PA":
        image = palette_image().convert("PA")
        image.putalpha(Image.fromarray(alpha))
        colours = [[255, 0, 0], [10, 20, 30]]
    else:
        image = Image.fromarray(np.dstack([np.array([[[200, 100, 40]] * 3], dtype=np.uint8), alpha]))
        image = image.convert({"La": "LA", "RGBa": "RGBa"}.get(mode, mode)).convert(mode)
        colours = [[200, 100, 40] if mode == "RGBa" else [124, 124, 124]] * 2
    assert image.mode == mode
    out = read_image(image, alpha=True)
    np.testing.assert_array_equal(out[..., 3], alpha)
    np.testing.assert_allclose(out[0, [0, 2], :3].astype(int), colours, atol=1)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_colour_is_undefined(kind):
    out = read_image(saved(palette_image(), kind, transparency=1), alpha=True)
    np.testing.assert_array_equal(out[..., 3], [[255, 0, 255]])
    np.testing.assert_array_equal(out[0, [0, 2], :3], [[255, 0, 0], [10, 20, 30]])


@pytest.mark.parametrize(("mode", "key"), [("RGB", (10, 20, 30)), ("L", 7), ("1", 0)])
def test_a_transparent_colour_without_palette_is_undefined(mode, key):
    image = Image.new(mode, (3, 2), key)
    image.putpixel((1, 1), {"RGB": (10, 20, 31), "L": 8, "1": 1}[mode])
    out = read_image(saved(image, transparency=key), alpha=True)
    np.testing.assert_array_equal(out[..., 3], [[0, 0, 0], [0, 255, 0]])
    assert (out[..., :3] == {"RGB": (10, 20, 31), "L": 8, "1": 255}[mode]).all()  # filled from the only one


def test_a_transparent_value_of_sixteen_bits_is_none():
    data = saved(DEEP, transparency=0)
    assert Image.open(io.BytesIO(data)).info["transparency"] == 0
    for alpha in (False, True):
        np.testing.assert_array_equal(read_image(data, alpha=alpha), np.repeat(UPPER[:, :, None], 3, axis=2))


@pytest.mark.parametrize("shape", [(4, 4, 1), (4, 4, 2), (4, 4, 5), (0, 4, 4), (1, 4, 4, 4)])
def test_arrays_of_another_kind_are_refused_with_alpha_too(shape):
    with pytest.raises(ImageError, match="HxWx4, HxWx3 or HxW uint8"):
        read_image(np.zeros(shape, dtype=np.uint8), alpha=True)


def test_what_is_given_is_left_as_it_was():
    pixels = holed(60, 40)
    before = pixels.copy()
    image = Image.fromarray(pixels)
    read_image(pixels, resize=30, alpha=True), read_image(image, alpha=True)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(np.asarray(image), before)
