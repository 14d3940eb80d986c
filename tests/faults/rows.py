"""The rows of the fault tables: what is done to ccr, numbered through all tables.

A  access · R  request bytes · J  request JSON · C  connecting to the upstream · S  its status · T  its stream
K  the client's connection · L  the life of the process · E  the real client

What has to come of each is said by the test that does it: ``@pytest.mark.fault("C55", outcome="…")``.
"""

from __future__ import annotations

from typing import Final

TABLES: Final = {
    "A": "Access",
    "R": "Bytes of the request",
    "J": "JSON of the request",
    "C": "Connecting to the upstream",
    "S": "Status of the upstream's answer",
    "T": "Stream of the upstream",
    "K": "Connection of the client",
    "L": "Life of the process",
    "E": "End to end",
}

_ROWS: Final = {
    "A": """
1 no key
2 a wrong key of the right length
3 the scheme `bearer` in lower case; `Bearer` without a space
4 the right key in `x-api-key`, a wrong one in `Authorization`
5 two `Authorization` headers
6 an empty APIKEY in the configuration
7 a foreign Host
8 the Host of another port
9 no Host
10 two Hosts
11 a Host with a path in it
12 a request target with a foreign authority
13 a foreign Origin beside the right key
14 `Origin: null`
15 a CORS preflight
16 `Sec-Fetch-Site: cross-site`
17 JSON sent as `text/plain`
18 paths with `..`, `//`, encoded slashes, parameters
19 `/health` without a key
20 other methods on `/v1/messages`
21 Upgrade, CONNECT, TRACE
22 another user reads configuration, log or state
23 another program on ccr's port
24 a HOST beyond loopback without the option for it
""",
    "R": """
25 Content-Length and Transfer-Encoding
26 two different Content-Lengths
27 a Content-Length that is no plain number
28 other transfer encodings than chunked
29 malformed chunk sizes
30 bare LF, bare CR, NUL in a header
31 a space before the colon, a folded header
32 64 KiB of header, 10,000 headers, a URL of 64 KiB
33 a TLS or HTTP/2 greeting
34 three pipelined requests
35 a body one byte over the limit, announced or not
36 a body that ends after three bytes
37 a head or body that does not go on; silence
38 300 slow connections beside a normal one
39 a compressed body
40 unknown expectations; `100-continue`
""",
    "J": """
41 nothing, null, an array, a string, trailing garbage
42 a byte order mark
43 deep nesting
44 integers of 5,000 digits; 2^70 in a tool's input
45 NaN, Infinity, 1e999
46 a key twice
47 half a surrogate pair
48 invalid UTF-8
49 10,000 turns; a text of a million characters
50 model names that are no names
51 values of the wrong type or size
52 unknown kinds of blocks, unknown betas
53 an image of 30 MB
54 `__proto__`, `__class__` as keys
""",
    "C": """
55 the connection is refused
56 the name does not exist
57 nobody accepts the connection
58 expired, self-signed, misnamed certificates
59 a certificate authority of one's own; a wrong path to it
60 proxies of every kind, with and without password; refusing; down
61 NO_PROXY, loopback, proxies of the environment
62 IPv6 alone; a dead address first
63 the address of a name changes
""",
    "S": """
64 401, then success
65 401 twice
66 50 requests meet an expired token
67 the token endpoint is down, slow, or talks garbage
68 the token ends in the middle of a stream
69 tokens whose ends make no sense; a wrong clock
70 403 for a missing permission
71 429 with every form of Retry-After
72 500, 502, 503, 504, 529, as JSON and as a page
73 400 because the prompt is too long
74 200 with an error in it
75 200 with a login page
76 200 and 204 without a body
77 a redirect to another host
78 interim answers before the answer
79 a chain of fallbacks: the second answers; none answers; a loop
80 an open circuit breaker
""",
    "T": """
81 a recorded stream, cut at any bytes
82 one byte a packet, also inside characters, line ends, escapes
83 all line ends, comments, and forms of fields
84 no blank line before the end
85 no `[DONE]`, with and without a finish reason
86 `[DONE]` twice, data behind it
87 broken JSON in an event
88 an event of 20 MB
89 tool arguments in odd pieces
90 token counts missing, null, early, twice
91 a first byte after 300 s
92 silence in the middle
93 a reset, a short body, an end inside a chunk
94 a body that ends with its connection
95 a compressed answer; a compression bomb
96 a flood to a client that does not read
97 one byte a second
98 huge and odd response headers
99 a stream where none was asked for, and the reverse
100 a pooled connection that was closed, before and after the request was read
""",
    "K": """
101 the client leaves at any moment
102 500 clients leave at once
103 a client that reads nothing for minutes
104 a half-closed connection
105 another request on a connection that saw an error
126 `HEAD /` without a key
127 errors that are final, and errors that pass
128 a stream that breaks, then the same request without a stream
129 20 s of refused tokens
""",
    "L": """
106 SIGTERM while 20 streams run
107 a second SIGTERM
108 ten restarts under load
109 SIGKILL at any moment
110 20 starts at once
111 stale, reused and hostile state files
112 links in place of files
113 a taken port
114 a full or read-only disk, a log folder that goes away
115 any umask
116 64 file descriptors
117 a HOME that is missing, odd, or not writable
118 faults in the configuration
119 a new configuration while a stream runs
120 plugins that are missing, raise, hang, or that others may write
121 an hour of load with faults
122 known secrets, looked for in everything written
123 provider keys in the client's process
124 control characters and a long model name in the log
125 the table of routes
""",
    "E": """
130 the real client meets a cut stream, an error event, a 429, an expired token, Ctrl-C
""",
}


def rows() -> dict[str, str]:
    """Return row (table and number) -> what is done."""
    return {
        f"{table}{number}": text
        for table, lines in _ROWS.items()
        for number, _, text in (line.partition(" ") for line in lines.strip().splitlines())
    }
