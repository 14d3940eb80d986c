"""Images made smaller with Pillow (the extra ``[images]``), which is imported when the first one is.

Each step begins with the original, so that the same image and step give the same bytes, whatever was tried
before: prompt caching depends on it. Opaque images become JPEG; those that show something through become
WebP, which is lossy and keeps that. Turned photographs are turned first, as their orientation is not kept.
"""

from __future__ import annotations

import asyncio
import binascii
import io
import struct
import zlib
from base64 import b64decode, b64encode
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.protocol.images import InlineImage

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP")
"""The formats that models take; no other decoder ever sees a client's bytes."""
DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise for bytes that are no whole image of these formats."""

_OPAQUE_MODES: Final = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr"})
_ALPHA_MODES: Final = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})
_OPAQUE: Final = 255


class Step(NamedTuple):
    """How small: the longer edge in pixels at most, and the encoder's quality (0 to 100)."""

    long_edge: int
    quality: int


STEPS: Final = (Step(1568, 85), Step(1568, 70), Step(1092, 65), Step(768, 60), Step(512, 50))
"""From the gentlest on. Anthropic scales to 1568 pixels anyway, so the first costs no detail."""


def is_installed() -> bool:
    """Tell whether Pillow is there."""
    return find_spec("PIL") is not None


class Reencoder:
    """Makes images smaller, one at a time and in a thread: each may need hundreds of megabytes meanwhile."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def at(self, step: Step, data: str) -> InlineImage | str:
        """Return the image (given in base64) at this step, or why there is none."""
        async with self._turn:
            return await asyncio.to_thread(reencoded, data, step)


def reencoded(data: str, step: Step) -> InlineImage | str:
    """Return the image (given in base64) at this step, or why there is none. Pillow must be installed."""
    from PIL import Image, ImageOps  # imported here: it is an extra, and most processes never need it

    try:
        with Image.open(io.BytesIO(b64decode(data, validate=True)), formats=FORMATS) as image:
            pixels = image.width * image.height
            if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
                return "it has too many pixels"
            image.draft("RGB", (step.long_edge, step.long_edge))
            return _encoded(_plain(ImageOps.exif_transpose(image)), step)
    except binascii.Error:
        return "it is no base64"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return "it has too many pixels"
    except DECODER_ERRORS as error:
        return f"it cannot be made smaller ({type(error).__name__})"


def _plain(image: Image) -> Image:
    """Return the image as RGB, or RGBA where something shows through. Raises ValueError on other kinds."""
    if image.mode in _ALPHA_MODES or (image.mode in _OPAQUE_MODES and "transparency" in image.info):
        image = image.convert("RGBA")
        lowest, _ = image.getchannel("A").getextrema()
        return image if lowest != _OPAQUE else image.convert("RGB")
    if image.mode not in _OPAQUE_MODES:
        raise ValueError(image.mode)  # 16 bits and the like: a plain conversion would turn them white
    return image.convert("RGB")


def _encoded(image: Image, step: Step) -> InlineImage:
    image.thumbnail((step.long_edge, step.long_edge))
    media_type, options = ("image/webp", {"method": 4}) if image.mode == "RGBA" else ("image/jpeg", {})
    out = io.BytesIO()
    image.save(out, format=media_type.removeprefix("image/"), quality=step.quality, **options)
    return InlineImage(media_type, b64encode(out.getbuffer()).decode("ascii"))
