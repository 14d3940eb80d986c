"""Synthetic request bodies -> bodies/*.json (deterministic)."""

import json
import os
import random

random.seed(7)
D = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bodies")
os.makedirs(D, exist_ok=True)
W = [
    "the",
    "file",
    "function",
    "returns",
    "value",
    "when",
    "path",
    "exists",
    "import",
    "class",
    "def",
    "self",
    "return",
    "error",
    "handle",
    "request",
    "async",
    "stream",
    "token",
    "model",
    "proxy",
    "config",
    "test",
    "line",
    "of",
    "and",
    "to",
    "in",
    "is",
    "for",
    "with",
    "you",
    "must",
    "not",
    "should",
    "use",
    "tool",
    "read",
    "write",
    "edit",
]


def text(n):
    out, l = [], 0
    while l < n:
        s = " ".join(random.choice(W) for _ in range(random.randint(5, 14)))
        s += random.choice([".\n", ".\n\n", ";\n\t", ' "quoted" ', " — é ✓\n", "\\path\\x\n"])
        out.append(s)
        l += len(s)
    return "".join(out)[:n]


def tool(i, desc):
    return {
        "name": f"Tool{i}" if i else "Read",
        "description": text(desc),
        "input_schema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                f"param_{k}": {
                    "type": random.choice(["string", "number", "boolean"]),
                    "description": text(90),
                }
                for k in range(5)
            }
            | {
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "a": {"type": "string", "minLength": 1},
                            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
                        },
                        "required": ["a", "status"],
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["param_0"],
            "additionalProperties": False,
        },
    }


def marker(n, d, t):
    return f"BENCH:n={n},d={d},t={t};"


def small(stream, m):
    return {
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 1024,
        "stream": stream,
        "system": [{"type": "text", "text": text(250)}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": text(500) + " " + m}]}],
    }


def cc(stream, m, scale=1.0, img=False):
    msgs = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>" + text(1500) + "</system-reminder>"},
                {"type": "text", "text": text(300)},
            ],
        }
    ]
    for i in range(15):
        msgs.append(
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": text(200)},
                    {
                        "type": "tool_use",
                        "id": f"toolu_{i:024d}",
                        "name": "Read",
                        "input": {"file_path": f"/src/pkg/mod_{i}.py", "offset": i, "limit": 100},
                    },
                ],
            }
        )
        c = [
            {
                "type": "tool_result",
                "tool_use_id": f"toolu_{i:024d}",
                "content": text(int(2600 * scale))
                if i % 2
                else [{"type": "text", "text": text(int(2600 * scale))}],
            }
        ]
        if i == 14:
            c.append({"type": "text", "text": "go on " + m, "cache_control": {"type": "ephemeral"}})
        msgs.append({"role": "user", "content": c})
    return {
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 32000,
        "stream": stream,
        "temperature": 1,
        "metadata": {"user_id": "user_abc_account__session_123"},
        "system": [
            {
                "type": "text",
                "text": "You are Claude Code, Anthropic's official CLI for Claude.",
                "cache_control": {"type": "ephemeral"},
            },
            {"type": "text", "text": text(14000), "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [tool(i, 1300) for i in range(22)],
        "messages": msgs,
    }


def dump(name, d):
    b = json.dumps(d, separators=(",", ":"), ensure_ascii=False).encode()
    open(f"{D}/{name}.json", "wb").write(b)
    print(name, len(b))


dump("small", small(False, marker(1, 0, 0)))
dump("cc120k", cc(False, marker(1, 0, 0)))
dump("large1m", cc(False, marker(1, 0, 0), 22.5))
dump("stream_fire", small(True, marker(200, 0, 0)))  # 200 chunks, no delay
dump("stream_tool", small(True, marker(100, 0, 100)))  # 100 text + 100 tool-arg chunks, no delay
dump("stream_paced", small(True, marker(100, 50000, 0)))  # 20 chunks/s per stream, 5 s
dump("stream_ttfb", small(True, marker(5, 0, 0)))
dump("cc120k_stream", cc(True, marker(200, 0, 0)))
