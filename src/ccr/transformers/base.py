"""What a transformer is: one step between the conversion and the upstream. Pure; knows no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest


class Transformer:
    """Base of all steps. Subclasses set ``name`` (the configured name) and override `request`.

    options: what the configuration gives the step. Raises ValueError with a sentence on options it cannot
    use.
    """

    name: ClassVar[str] = ""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def request(self, chat: ChatRequest) -> ChatRequest:
        """Return the request to send instead of ``chat``, which stays as it is.

        ``chat`` comes from the conversion or, on the OpenAI route, from the client: then keys the client
        added are there too, and leaves may be ``msgspec.Raw``.
        """
        return chat
