"""Images made smaller, with Pillow itself."""

from __future__ import annotations

import io
import random
from base64 import b64decode, b64encode
from typing import Any

import pytest
from PIL import Image, features

from ccr.protocol.images import InlineImage
from ccr.upstream.images.pillow import STEPS, Reencoder, Step, is_installed, reencoded

STEP = Step(100, 80)


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    data = random.Random(7).randbytes(size[0] * size[1] * bands)  # noqa: S311 - pixels, no secret
    return Image.frombytes(mode, size, data)


def base64_of(image: Image.Image, kind: str = "PNG", **options: Any) -> str:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return b64encode(out.getvalue()).decode()


def opened(image: InlineImage | str) -> Image.Image:
    assert isinstance(image, InlineImage), image
    found = Image.open(io.BytesIO(b64decode(image.data)))
    assert found.get_format_mimetype() == image.media_type
    return found


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_every_format_becomes_a_smaller_jpeg(kind: str) -> None:
    data = base64_of(noise((400, 200)), kind)
    image = reencoded(data, STEP)
    assert opened(image).size == (100, 50)
    assert isinstance(image, InlineImage)
    assert (image.media_type, len(image.data) < len(data)) == ("image/jpeg", True)


def test_the_same_image_and_step_give_the_same_bytes() -> None:
    data = base64_of(noise((300, 300)))
    assert reencoded(data, STEP) == reencoded(data, STEP)
    assert reencoded(data, STEP) != reencoded(data, Step(100, 70))


def test_small_images_are_never_enlarged() -> None:
    assert opened(reencoded(base64_of(noise((30, 20))), STEP)).size == (30, 20)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_opaque_modes(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = opened(reencoded(base64_of(noise((50, 50)).convert(mode), kind), STEP))
    assert (image.format, image.mode) == ("JPEG", "RGB")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_shows_through_stays_so(mode: str) -> None:
    assert features.check("webp")
    image = opened(reencoded(base64_of(noise((50, 50), mode)), STEP))
    assert (image.format, image.mode) == ("WEBP", "RGBA")


def test_a_transparent_colour_of_a_palette_stays_so() -> None:
    picture = noise((50, 50)).quantize(4)
    for kind in ("PNG", "GIF"):
        assert opened(reencoded(base64_of(picture, kind, transparency=0), STEP)).format == "WEBP"


def test_an_alpha_channel_that_hides_nothing_is_no_reason_for_webp() -> None:
    picture = noise((50, 50)).convert("RGBA")
    assert opened(reencoded(base64_of(picture), STEP)).format == "JPEG"


def test_a_turned_photograph_is_turned_before_its_orientation_is_lost() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = base64_of(noise((80, 40)), "JPEG", exif=exif)
    assert opened(reencoded(data, STEP)).size == (40, 80)


def test_the_first_picture_of_a_moving_one() -> None:
    first, second = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (40, 40), "blue")
    image = opened(reencoded(base64_of(first, "GIF", save_all=True, append_images=[second]), STEP))
    red, _, blue = image.convert("RGB").getpixel((20, 20))  # type: ignore[misc] # RGB has three
    assert red > 200 > 100 > blue


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("no base64!", "it is no base64"),
        ("QUJD\n", "it is no base64"),
        ("ü", "it cannot be made smaller (ValueError)"),
        ("", "it cannot be made smaller (UnidentifiedImageError)"),
        (b64encode(b"%PDF-1.7").decode(), "it cannot be made smaller (UnidentifiedImageError)"),
        (b64encode(b"P6 1 1 255\nabc").decode(), "it cannot be made smaller (UnidentifiedImageError)"),
        (base64_of(noise((200, 200)))[:4000], "it cannot be made smaller (OSError)"),
        (base64_of(Image.new("I;16", (5, 5))), "it cannot be made smaller (ValueError)"),
    ],
)
def test_what_cannot_be_made_smaller_says_why(data: str, reason: str) -> None:
    assert reencoded(data, STEP) == reason


@pytest.mark.parametrize("limit", [1000, 6000, 9999])
def test_decompression_bombs(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = base64_of(noise((100, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert reencoded(data, STEP) == "it has too many pixels"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pillows_limit_counts_where_it_only_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    data = base64_of(noise((100, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9999)
    assert reencoded(data, STEP) == "it has too many pixels"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert isinstance(reencoded(data, STEP), InlineImage)


async def test_in_a_thread() -> None:
    data = base64_of(noise((60, 60)))
    assert await Reencoder().at(STEPS[0], data) == reencoded(data, STEPS[0])


def test_steps_grow_smaller() -> None:
    data = base64_of(noise((2000, 2000)))
    sizes = [len(image.data) for step in STEPS if isinstance(image := reencoded(data, step), InlineImage)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == len(STEPS)


def test_whether_pillow_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed()
    monkeypatch.setattr("ccr.upstream.images.pillow.find_spec", lambda name: None)
    assert not is_installed()
