"""What the image model is asked, and what it answers: from a call of the tool to its result. Pure.

A wrong call is answered by a sentence that says what is right: the model can call again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ccr.errors import RequestError
from ccr.protocol.native_json import decoded, encode
from ccr.protocol.native_message import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Raw

MAX_TOKENS: Final = 8_192
"""Of one analysis: enough for all the text of a full page."""
MAX_IMAGES: Final = 20
"""Looked at by one call: what the providers of this program take with one request."""
_SYSTEM: Final = (
    "You look at images for another model, which cannot see them and works with your words alone. Do the "
    "task, and nothing but the task, from what the images show. Quote texts literally. Say so where "
    "something cannot be made out."
)
_CUT: Final = "\n[The analysis ends here: it reached its limit.]"


class _Input(msgspec.Struct):
    """The arguments; models write one ID without the list, and numbers."""

    imageId: list[str | int] | str | int = msgspec.field(default_factory=list)  # noqa: N815 - the tool's word
    task: str = ""
    regions: list[msgspec.Raw] | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct):
    content: list[_Block]
    stop_reason: str | None = None


_INPUT: Final = msgspec.json.Decoder(_Input)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_SOURCE: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Analysis(NamedTuple):
    """One question about images. names: what they are called; sources: theirs, in the same order."""

    names: tuple[str, ...]
    sources: tuple[Raw, ...]
    task: str

    @property
    def title(self) -> str:
        """Of which images it is."""
        return "Analysis of " + ", ".join(f"Image #{name}" for name in self.names)

    @property
    def key(self) -> bytes:
        """The same for the same question about the same images."""
        digest = sha256(self.task.encode("utf-8", "replace"))
        for source in self.sources:
            digest.update(b"\0")
            digest.update(sha256(bytes(source)).digest())
        return digest.digest()


def analysis_of(arguments: Raw, images: Mapping[str, Raw]) -> Analysis:
    """Return what a call of the tool asks for. images: those there are. Raises RequestError, a sentence."""
    try:
        given = _INPUT.decode(arguments)
    except UNREADABLE as error:
        raise RequestError(f"The arguments are wrong: {error}.") from None
    wanted = given.imageId if isinstance(given.imageId, list) else [given.imageId]
    names = tuple(dict.fromkeys(_name(each) for each in wanted))
    known = ", ".join(images)
    if not names or not given.task.strip():
        text = f"imageId (a list of IDs) and task are required. The IDs of this conversation are: {known}."
        raise RequestError(text)
    unknown = [name for name in names if name not in images]
    if unknown:
        text = f"There is no image {', '.join(unknown)}. The IDs of this conversation are: {known}."
        raise RequestError(text)
    if len(names) > MAX_IMAGES:
        raise RequestError(f"At most {MAX_IMAGES} images can be looked at with one call.")
    task = given.task
    if given.regions:
        task += f"\n\nRegions that matter: {encode(given.regions).decode()}"
    return Analysis(names, tuple(images[name] for name in names), task)


def analysis_request(analysis: Analysis, model: str) -> bytes:
    """Return the Messages request for the image model."""
    content: list[object] = []
    for name, source in zip(analysis.names, analysis.sources, strict=True):
        if len(analysis.names) > 1:
            content.append({"type": "text", "text": f"Image #{name}:"})
        content.append({"type": "image", "source": source})
    content.append({"type": "text", "text": analysis.task})
    return encode(
        {
            "model": model,
            "max_tokens": MAX_TOKENS,
            "system": _SYSTEM,
            "messages": [{"role": "user", "content": content}],
        }
    )


def check_sources(analysis: Analysis) -> None:
    """Refuse images that cannot be sent on. Raises RequestError, a sentence."""
    for name, source in zip(analysis.names, analysis.sources, strict=True):
        try:
            kind = bytes(_SOURCE.decode(source).get("type", b""))
        except UNREADABLE:
            kind = b""
        if kind not in (b'"base64"', b'"url"'):
            raise RequestError(f"Image #{name} cannot be looked at: its bytes are not in the request.")


def analysis_text(message: bytes) -> str:
    """Return what the image model has said. Raises RequestError where it has said nothing."""
    read = decoded(_MESSAGE, message)
    text = "\n\n".join(block.text for block in read.content if block.type == "text" and block.text).strip()
    if not text:
        raise RequestError(f"The image model gave no answer (stop reason: {read.stop_reason}).")
    return text + (_CUT if read.stop_reason == "max_tokens" else "")


def _name(given: str | int) -> str:
    """Return an ID as it is, also where the model has written what stands around it."""
    return str(given).strip().removeprefix("[").removesuffix("]").removeprefix("Image").strip().lstrip("#")
