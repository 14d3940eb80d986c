"""What a provider's limits make of a request: its size, its images' addresses, its ``max_tokens``.

    chat route    transformers -> `Payloads.chat` -> repairs -> `Payloads.fitted_chat` -> bytes to send
    native route  sanitised body -> `Payloads.native` -> bytes to send

A request within the limits goes through untouched, at the price of a few comparisons. In a larger one images
are made smaller (shrinking.py). When that is not enough the request is refused, in words that say what to
take out of the conversation (too_large.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ccr.errors import RequestError
from ccr.gateway.shrinking import Reencode, Shrinking, saved_bytes
from ccr.gateway.too_large import Part, too_large
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.compaction import is_compaction
from ccr.protocol.images import (
    Attachment,
    InlineImage,
    attachments_in_chat,
    attachments_in_messages,
    attachments_in_request,
    chat_with,
    may_have_remote_sources,
    messages_with,
    note_for,
    remote_images_in_chat,
)
from ccr.protocol.openai import encode_chat_request
from ccr.protocol.repair_options import with_max_tokens_at_most
from ccr.protocol.request_rules import RequestRule
from ccr.upstream.images.fetch import ImageFetcher
from ccr.upstream.images.pillow import Reencoder, is_installed

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable

    from ccr.gateway.limits import Limits
    from ccr.gateway.record import Record
    from ccr.gateway.routes import Route
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.images import Place, Replacements
    from ccr.protocol.native_request import NativeConversion
    from ccr.protocol.openai import ChatRequest

TAKES_NO_URLS: Final = "the endpoint takes no addresses"


class Fetch(Protocol):
    """How images are fetched."""

    async def fetch(self, urls: Iterable[str]) -> dict[str, InlineImage | str]:
        """Return for each address its image, or why there is none."""


class Payloads:
    """Brings the requests of all routes within their limits."""

    def __init__(
        self,
        *,
        logger: logging.Logger,
        reencode: Reencode | None = None,
        fetch: Fetch | None = None,
        has_pillow: Callable[[], bool] = is_installed,
    ) -> None:
        self._logger = logger
        self._fetch = fetch or ImageFetcher()
        self._has_pillow = has_pillow
        self._shrinking = Shrinking(reencode or Reencoder())

    # -- the two routes ---------------------------------------------------------------------------------

    async def chat(self, chat: ChatRequest, route: Route, record: Record) -> ChatRequest:
        """Return a chat request with what its images' addresses stand for, and no more ``max_tokens``."""
        limits = route.limits
        if limits.max_tokens is not None:
            capped = with_max_tokens_at_most(chat, limits.max_tokens)
            if capped is not chat:
                _note(record, RequestRule.MAX_TOKENS_CAPPED)
                chat = capped
        if limits.takes_urls and not limits.fetches_images:
            return chat
        remote = remote_images_in_chat(chat)
        return chat_with(chat, await self._images_of(remote, limits, record)) if remote else chat

    async def fitted_chat(
        self, chat: ChatRequest, route: Route, record: Record, request: MessagesRequest | None
    ) -> tuple[ChatRequest, bytes]:
        """Return a chat request that is within the limit, and its bytes.

        request: the client's own, None when that was a chat request: it says where the client finds what is
        too large. Raises ApiError (400) when the request cannot be made to fit.
        """
        body = encode_chat_request(chat)
        max_bytes = route.limits.max_bytes
        if max_bytes is None or len(body) <= max_bytes:
            return chat, body
        attachments = attachments_in_chat(chat)
        smaller = await self._fitting(attachments, lambda: request, len(body), route, record)
        chat = chat_with(chat, smaller)
        return chat, encode_chat_request(chat)

    async def native(self, sent: NativeConversion, route: Route, record: Record, client_body: bytes) -> bytes:
        """Return the body of a sanitised Messages request that is within the limits.

        client_body: as the client sent it. Raises ApiError (400) when it cannot be made to fit.
        """
        limits, body = route.limits, sent.body
        is_asked = sent.has_attachments and (limits.fetches_images or not limits.takes_urls)
        if is_asked and may_have_remote_sources(body):
            remote = [each for each in attachments_in_messages(body) if each.url]
            if remote:
                body = messages_with(body, await self._images_of(remote, limits, record))
        if limits.max_bytes is None or len(body) <= limits.max_bytes:
            return body
        attachments = attachments_in_messages(body)
        smaller = await self._fitting(attachments, lambda: _decoded(client_body), len(body), route, record)
        return messages_with(body, smaller)

    # -- addresses --------------------------------------------------------------------------------------

    async def _images_of(self, remote: list[Attachment], limits: Limits, record: Record) -> Replacements:
        """Return what the addresses stand for: images that were fetched, and notes for all else."""
        images: dict[str, InlineImage | str] = {}
        if limits.fetches_images:
            images = await self._fetch.fetch(each.url for each in remote if each.kind == "image")
        replacements: dict[Place, InlineImage | str] = {}
        for each in remote:
            image = images.get(each.url, TAKES_NO_URLS)
            if each.kind == "document":
                if not limits.takes_urls:
                    _note(record, RequestRule.DOCUMENT_AS_NOTE)
                    replacements[each.place] = note_for(each, TAKES_NO_URLS)
            elif isinstance(image, InlineImage):
                _note(record, RequestRule.IMAGE_URL_FETCHED)
                replacements[each.place] = image
            else:
                _note(record, RequestRule.IMAGE_URL_AS_NOTE)
                replacements[each.place] = note_for(each, image)
        return replacements

    # -- size -------------------------------------------------------------------------------------------

    async def _fitting(
        self,
        attachments: list[Attachment],
        request: Callable[[], MessagesRequest | None],
        size_bytes: int,
        route: Route,
        record: Record,
    ) -> Replacements:
        """Return the images to send in place of others, so that a request of this size fits.

        request: gives the client's own, None where there is none in this format.
        """
        max_bytes = route.limits.max_bytes or 0
        has_pillow = self._has_pillow()
        smaller: dict[Place, InlineImage] = {}
        if has_pillow and size_bytes - sum(len(each.data) for each in attachments) <= max_bytes:
            smaller = await self._shrinking.smaller(attachments, size_bytes - max_bytes)
        fitted_bytes = size_bytes - saved_bytes(attachments, smaller)
        if smaller:
            _note(record, RequestRule.IMAGE_REENCODED)
            self._log(route, record, len(smaller), size_bytes, fitted_bytes)
        if fitted_bytes > max_bytes:
            given = request()
            theirs = attachments if given is None else attachments_in_request(given)
            sent = {each.data: len(smaller.get(each.place, each).data) for each in attachments}
            raise too_large(
                provider=route.provider.name,
                max_bytes=max_bytes,
                size_bytes=fitted_bytes,
                parts=[Part(each, sent.get(each.data, 0)) for each in theirs if each.data],
                is_smaller=bool(smaller),
                has_pillow=has_pillow,
                is_compaction=given is not None and is_compaction(given),
            )
        return smaller

    def _log(self, route: Route, record: Record, count: int, size_bytes: int, fitted_bytes: int) -> None:
        fields = {
            "request_id": record.client.request_id,
            "provider": route.provider.name,
            "upstream_model": route.model,
            "images": count,
            "bytes": size_bytes,
            "fitted_bytes": fitted_bytes,
            "max_bytes": route.limits.max_bytes,
        }
        self._logger.info("images made smaller", extra={"fields": fields})


def _decoded(client_body: bytes) -> MessagesRequest | None:
    try:
        return decode_messages_request(client_body)
    except RequestError:
        return None  # the native endpoint may take what the translation would not


def _note(record: Record, rule: RequestRule) -> None:
    if rule not in record.rules:
        record.rules += (rule.value,)
