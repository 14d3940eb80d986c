"""The same router as the one in JavaScript."""

import json
from typing import Any


async def route(request: dict[str, Any], config: dict[str, Any]) -> str | None:
    said = next((m["content"] for m in request["body"]["messages"] if m["role"] == "user"), "")
    text = said if isinstance(said, str) else json.dumps(said)
    if "explain this code" in text:
        return f"{config['Providers'][0]['name']},google/gemini-2.5-pro"
    if "router, break" in text:
        raise ValueError("no idea")
    if request["tokenCount"] > 2000:
        return "openrouter,qwen/qwen3-coder"
    return None
