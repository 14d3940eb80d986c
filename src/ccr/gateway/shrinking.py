"""Which images of a request are made smaller, how far, and what is remembered of it.

The gentlest step for all of them first; in each, images of earlier messages before those of the newest, which
the person is asking about, and large ones before small ones. What was made smaller once stays so in later
turns, because a prompt whose beginning changes is not found in the cache.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ccr.upstream.images.cache import BoundedCache
from ccr.upstream.images.pillow import STEPS, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.images import Attachment, InlineImage, Place

MAX_HELD_BYTES: Final = 16 * 1024 * 1024
"""Images made smaller that are remembered: those of some conversations at once."""


class Reencode(Protocol):
    """How an image is made smaller."""

    async def at(self, step: Step, data: str) -> InlineImage | str:
        """Return the image (given in base64) at this step, or why there is none."""


class _Smaller(NamedTuple):
    """An image made smaller. step: how far it has been gone; image: None while that brought nothing."""

    step: int
    image: InlineImage | None


class Shrinking:
    """Makes images smaller as far as needed, and remembers those it made."""

    def __init__(self, reencode: Reencode) -> None:
        self._reencode = reencode
        self._known: BoundedCache[bytes, _Smaller] = BoundedCache(MAX_HELD_BYTES)

    async def smaller(self, attachments: list[Attachment], excess_bytes: int) -> dict[Place, InlineImage]:
        """Return smaller images for some, as few steps as save ``excess_bytes``; else the smallest of all."""
        images = _in_order(attachments)
        digests = {each.place: blake2b(each.data.encode(), digest_size=16).digest() for each in images}
        smaller: dict[Place, InlineImage] = {}
        for place, digest in digests.items():
            known = self._known.get(digest)
            if known is not None and known.image is not None:
                smaller[place] = known.image
        for number, step in enumerate(STEPS):
            for each in images:
                if saved_bytes(images, smaller) >= excess_bytes:
                    return smaller
                image = await self._one_smaller(each.data, digests[each.place], number, step)
                if image is not None:
                    smaller[each.place] = image
        return smaller

    async def _one_smaller(self, data: str, digest: bytes, number: int, step: Step) -> InlineImage | None:
        """Return the smallest image up to this step, None while there is none smaller than the original."""
        known = self._known.get(digest) or _Smaller(-1, None)
        if known.step >= number:
            return known.image
        image = await self._reencode.at(step, data)
        if isinstance(image, str):
            known = _Smaller(len(STEPS), known.image)  # no other step will do better
        else:
            held_bytes = len(data if known.image is None else known.image.data)
            known = _Smaller(number, image if len(image.data) < held_bytes else known.image)
        self._known.put(digest, known, len(known.image.data) if known.image is not None else 0)
        return known.image


def _in_order(attachments: list[Attachment]) -> list[Attachment]:
    """Return the images in the order in which they are made smaller."""
    images = [each for each in attachments if each.kind == "image" and each.data]
    newest = max((each.place[0] for each in images), default=0)
    return sorted(images, key=lambda each: (each.place[0] == newest, -len(each.data), each.place))


def saved_bytes(attachments: list[Attachment], smaller: Mapping[Place, InlineImage]) -> int:
    """Return by how much a request shrinks with these images."""
    return sum(
        len(each.data) + len(each.media_type) - len(image.data) - len(image.media_type)
        for each in attachments
        if (image := smaller.get(each.place)) is not None
    )
