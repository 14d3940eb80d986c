"""The client's system prompt exchanged for the person's (``REWRITE_SYSTEM_PROMPT``), its environment kept.

A prompt is Claude Code's own where it has a section on the environment: ``<env>`` in clients of the npm
router's time, a heading ``# Environment`` today (2.1.330). Its small jobs and subagents with prompts of their
own have none in the system prompt, and stay as they are. The npm router looks at the second block alone,
where today's client has one line on who it is. Pure; done on the bytes, so that it is the same for every
format of the upstream, and every value but the one text stays its bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccr.protocol.chat_from_messages import BILLING_PREFIX
from ccr.protocol.native_json import OBJECT, OBJECTS, STRING, decoded, encode, first_byte, raw
from ccr.routing.subagent import tag_in

if TYPE_CHECKING:
    from msgspec import Raw

RULE: Final = "system_prompt_replaced"
"""Name of the rule in records and metrics."""
_SECTION: Final = re.compile(r"^(?:<env>|# Environment[ \t]*$)", re.MULTILINE)
_QUOTE: Final = ord('"')
_BRACKET: Final = ord("[")


def with_own_prompt(body: bytes, prompt: str) -> bytes:
    """Return a Messages request with another system prompt; the same object where there is none to exchange.

    Raises RequestError (400) where it cannot be read so far.
    """
    values = decoded(OBJECT, body)
    system = values.get("system")
    changed = _exchanged(system, prompt) if system is not None else None
    return body if changed is None else encode({**values, "system": changed})


def text_with_own_prompt(text: str, prompt: str) -> str | None:
    """Return a text of the system prompt with another beginning, None where it has no such section.

    Kept of the beginning are the client's attribution line and the tag of a subagent, which say something
    about the request and nothing to the model.
    """
    found = _SECTION.search(text)
    if found is None:
        return None
    first, end, _ = text.partition("\n")
    billing = first + end if text.startswith(BILLING_PREFIX) else ""
    model = tag_in(text[: found.start()], is_system=True).model
    tag = f"<CCR-SUBAGENT-MODEL>{model}</CCR-SUBAGENT-MODEL>\n" if model else ""
    ending = "" if prompt.endswith("\n") else "\n"
    return f"{billing}{tag}{prompt}{ending}{text[found.start() :]}"


def _exchanged(system: Raw, prompt: str) -> Raw | None:
    """Return the system prompt with another text in the first block that has the section, None for none."""
    kind = first_byte(system)
    if kind == _QUOTE:
        text = text_with_own_prompt(decoded(STRING, system), prompt)
        return None if text is None else raw(text)
    if kind != _BRACKET:
        return None
    blocks = decoded(OBJECTS, system)
    for index, block in enumerate(blocks):
        written = block.get("text")
        if written is None or first_byte(written) != _QUOTE:
            continue
        text = text_with_own_prompt(decoded(STRING, written), prompt)
        if text is not None:
            return raw([*blocks[:index], {**block, "text": raw(text)}, *blocks[index + 1 :]])
    return None
