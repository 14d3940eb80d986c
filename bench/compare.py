"""Direct, nginx and ccr side by side: the scenarios of docs/performance.md, in turns, with ratios to nginx."""

import argparse
import datetime
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import bench

HERE = Path(__file__).resolve().parent
CCR = HERE.parent / ".venv/bin/ccr"
KEY = "sk-bench-local-key-0123456789abcdef"
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_max_body_size 64m; client_body_buffer_size 8m;
  keepalive_requests 10000000;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; }}
  }}
}}
"""
# name, way through ccr, body, connections, seconds, what is compared, bound as a factor of nginx
SCENARIOS = [
    ("1 KB request, 1 connection", "chat", "small", 1, 2.0, "p50", 5.0),
    ("120 KB request, 1 connection", "chat", "cc120k", 1, 2.0, "p50", 5.0),
    ("120 KB request, 1 connection, native route", "anthropic", "cc120k", 1, 2.0, "p50", 4.0),
    ("1 MB request, 1 connection", "chat", "large1m", 1, 2.0, "p50", None),
    ("first event of a stream, 1 connection", "chat", "stream_ttfb", 1, 2.0, "fev50", None),
    ("1 KB requests, 64 connections", "chat", "small", 64, 2.0, "cpu_us_req", None),
    ("200 paced streams of 20 events/s", "chat", "stream_paced", 200, 6.0, "cpu_us_ev", None),
    (
        "200 paced streams of 20 events/s, native route",
        "anthropic",
        "stream_paced",
        200,
        6.0,
        "cpu_us_ev",
        None,
    ),
    ("200 streams at full speed", "chat", "stream_fire", 200, 3.0, "cpu_us_ev", None),
]
# With --plugins: what a step costs that is not built in. Beside the second row above, which has the built-in step.
PLUGIN_SCENARIOS = [
    ("120 KB request, 1 connection, the Devbox file under forceJs", "node", "cc120k", 1, 2.0, "p50", None),
    ("120 KB request, 1 connection, a transformer in Python", "python", "cc120k", 1, 2.0, "p50", None),
    (
        "200 paced streams of 20 events/s, the Devbox file",
        "node",
        "stream_paced",
        200,
        6.0,
        "cpu_us_ev",
        None,
    ),
    ("200 paced streams of 20 events/s, in Python", "python", "stream_paced", 200, 6.0, "cpu_us_ev", None),
]
DEVBOX_FILE = HERE.parent / "tests/dropin/folders/devbox/plugins/databricks-transformer.js"
PYTHON_FILE = """
from ccr import ChunkStep, Transformer

class House(Transformer):
    name = "house"
    def request(self, chat, context):
        return {**chat, "max_tokens": min(chat.get("max_tokens", 4000), 4000)}
    def completion(self, completion, context):
        return completion
    def stream(self, context):
        return Chunks()

class Chunks(ChunkStep):
    def chunk(self, chunk):
        return [chunk]
"""


FILES = {
    "node": [{"path": "plugin.js", "options": {"forceJs": True}}],
    "python": [{"path": "plugin.py"}],
}


def free_port() -> int:
    """A port that was free a moment ago, below the ephemeral range."""
    for port in range(18000, 19000):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            used = free_port.__dict__.setdefault("used", set())
            if port not in used:
                used.add(port)
                return port
    raise SystemExit("no free port between 18000 and 19000")


def wait_for(port: int) -> None:
    """Wait until something listens on the port."""
    for _ in range(200):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on {port}")


def config(port: int, upstream: int, way: str) -> str:
    """A ccr configuration whose only provider is the mock, in the Databricks form, asked in one way."""
    url = f"http://127.0.0.1:{upstream}/serving-endpoints/databricks-claude-sonnet-4/invocations"
    return json.dumps(
        {
            "LOG": False,
            "PORT": port,
            "APIKEY": KEY,
            "transformers": FILES.get(way, []),
            "Providers": [
                {
                    "name": "databricks",
                    "api_base_url": url,
                    "api_key": "bench-token",
                    "models": ["databricks-claude-sonnet-4"],
                    "api": "anthropic" if way == "anthropic" else "chat",
                    "transformer": {"use": ["house" if way == "python" else "databricks-custom"]},
                }
            ],
            "Router": {"default": "databricks,databricks-claude-sonnet-4"},
        }
    )


def timed(command: list[str], environment: dict[str, str], repeat: int = 7) -> float:
    """Median wall time of a command in ms."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3, help="how often each target is measured in turn")
    arguments.add_argument("--only", default="", help="run only scenarios whose body has this name")
    arguments.add_argument(
        "--plugins", action="store_true", help="also with a JavaScript and a Python transformer"
    )
    arguments = arguments.parse_args()
    processes: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(folder, processes, arguments)
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
                process.wait(10)


def run(folder: str, processes: list[subprocess.Popen], arguments: argparse.Namespace) -> None:
    upstream, nginx_port = free_port(), free_port()
    scenarios = SCENARIOS + (PLUGIN_SCENARIOS if arguments.plugins else [])
    ccr_ports = {way: free_port() for way in sorted({scenario[1] for scenario in scenarios})}
    environments = {}
    for way, port in ccr_ports.items():
        home = Path(folder) / way
        home.mkdir(mode=0o700)
        for name, text in (("plugin.js", DEVBOX_FILE.read_text()), ("plugin.py", PYTHON_FILE)):
            (home / name).write_text(text)
            (home / name).chmod(0o600)
        (home / "config.json").write_text(config(port, upstream, way))
        (home / "config.json").chmod(0o600)
        environments[way] = {**os.environ, "CCR_HOME": str(home)}
    ccr_port, environment = ccr_ports["chat"], environments["chat"]
    (Path(folder) / "nginx.conf").write_text(NGINX.format(folder=folder, upstream=upstream, port=nginx_port))

    def start(core: str, *command: str, environment: dict[str, str] = environment) -> None:
        processes.append(
            subprocess.Popen(
                ["taskset", "-c", core, *command],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        )

    start("0", str(HERE / "bin/mock"), str(upstream))
    start("1", "nginx", "-c", f"{folder}/nginx.conf", "-p", folder)
    began = time.perf_counter()
    subprocess.run([str(CCR), "start"], env=environment, check=True, stdout=subprocess.DEVNULL)
    start_ms = (time.perf_counter() - began) * 1000
    status_ms = timed([str(CCR), "status"], environment)
    subprocess.run([str(CCR), "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)
    for each in environments.values():
        start("1", str(CCR), "start", "--foreground", environment=each)
    for port in (upstream, nginx_port, *ccr_ports.values()):
        wait_for(port)
    urllib.request.urlopen(f"http://127.0.0.1:{ccr_port}/health").read()
    time.sleep(1)

    targets = {"direct": upstream, "nginx": nginx_port, "ccr": ccr_port}
    pids = {name: bench.listeners(port) for name, port in targets.items()}
    rest = {name: bench.rss_kb(pids[name], "Rss") / 1024 for name in targets}
    print(
        f"Date: {datetime.date.today()}  Machine: {os.cpu_count()} cores, {cpu_name()}, Python {platform.python_version()}\n"
    )
    print("| scenario | figure | direct | nginx | ccr | ccr / nginx | bound |")
    print("|---|---|---|---|---|---|---|")
    failed = False
    for title, way, body, connections, seconds, figure, bound in scenarios:
        if arguments.only and arguments.only != body:
            continue
        values: dict[str, list[float]] = {name: [] for name in targets}
        for _ in range(arguments.rounds):
            for name, port in {**targets, "ccr": ccr_ports[way]}.items():
                result = bench.run(
                    urlparse(f"http://127.0.0.1:{port}"),
                    body,
                    connections,
                    seconds,
                    1,
                    False,
                    [f"x-api-key: {KEY}"],
                    bench.listeners(port),
                    0.3,
                )
                if result["errors"]:
                    print(f"{name}: {result['errors']} errors: {result['errbody']}", file=sys.stderr)
                    failed = True
                if result[figure] is not None:
                    values[name].append(result[figure])
        middle = {name: statistics.median(found) if found else float("nan") for name, found in values.items()}
        ratio = middle["ccr"] / middle["nginx"] if middle["nginx"] else float("nan")
        unit = {
            "p50": "µs median",
            "fev50": "µs median",
            "cpu_us_req": "µs CPU / request",
            "cpu_us_ev": "µs CPU / event",
        }[figure]
        print(
            f"| {title} | {unit} | {middle['direct']:.0f} | {middle['nginx']:.0f} | {middle['ccr']:.0f} | {ratio:.1f} | {bound or ''} |",
            flush=True,
        )
    print(
        f"\nAt rest: nginx {rest['nginx']:.0f} MB, ccr {rest['ccr']:.0f} MB; after the load: ccr {bench.rss_kb(pids['ccr'], 'Rss') / 1024:.0f} MB"
    )
    print(f"`ccr start` to healthy: {start_ms:.0f} ms; `ccr status`: {status_ms:.0f} ms")
    if failed:
        raise SystemExit("some requests failed")


def cpu_name() -> str:
    """The processor's name, from /proc."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
