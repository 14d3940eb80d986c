"""``OpenAI``: for an upstream that speaks OpenAI's chat format as it is. Nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.transformers.base import Transformer
from ccr.transformers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping


class OpenAI(Transformer):
    """The chat format is what the conversion writes, so that this step changes nothing."""

    name = "OpenAI"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)
