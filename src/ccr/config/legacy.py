"""Keys of the npm router's config.json that have no effect here, each with the sentence that says so."""

from __future__ import annotations

from typing import Final

WITHOUT_EFFECT_OF_PROVIDERS: Final = {
    "tokenizer": "has no effect: ccr estimates tokens and learns each model's factor from its answers",
}
