"""An MCP server on standard input and output, with tools whose results mix texts, pictures and errors.

``python tools_server.py PICTURE``: the picture in Base64.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def results(picture: str) -> dict[str, dict[str, Any]]:
    """What each tool gives."""
    image = {"type": "image", "data": picture, "mimeType": "image/png"}
    before, after = {"type": "text", "text": "before"}, {"type": "text", "text": "after"}
    page = {"uri": "file:///page.txt", "mimeType": "text/plain", "text": "a page"}
    return {
        "mixed": {"content": [before, image, after, image]},
        "failing": {"content": [before, image, {"type": "text", "text": ""}], "isError": True},
        "empty": {"content": []},
        "picture": {"content": [image]},
        "page": {"content": [{"type": "resource", "resource": page}]},
    }


def answer(request: dict[str, Any], tools: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The result of one request."""
    if request["method"] == "initialize":
        about = {"name": "tools", "version": "1"}
        version = request["params"]["protocolVersion"]
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
    if request["method"] == "tools/list":
        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        return {"tools": [{"name": name, "description": name, "inputSchema": schema} for name in tools]}
    if request["method"] == "tools/call":
        return tools[request["params"]["name"]]
    return {}


if __name__ == "__main__":
    made = results(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            print(
                json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer(asked, made)}), flush=True
            )
