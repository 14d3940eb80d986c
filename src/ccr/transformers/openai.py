"""``OpenAI``: for an upstream that speaks OpenAI's chat format as it is. Nothing to do."""

from __future__ import annotations

from ccr.transformers.base import Transformer


class OpenAI(Transformer):
    """The chat format is what the conversion writes, so that this step changes nothing."""

    name = "OpenAI"
