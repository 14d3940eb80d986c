#!/usr/bin/env python3
"""bench.py --target URL --scenario NAME [--conns C] [--secs S] [--reps R] [--pid P | --port-pid] [--newconn] [--header 'k: v'] [--json FILE] [--label L]
Scenarios (path /v1/messages is added if the URL has no path):
  small cc120k large1m            non-stream, closed loop
  stream (=stream_fire: 200 chunks no delay) stream_tool stream_paced(20 ev/s/stream, 5 s) stream_ttfb cc120k_stream
Also: all = a fixed suite.  CPU of the target's processes (whole process group of listeners on the port) is read from /proc/*/task/*/schedstat."""

import argparse
import glob
import json
import os
import re
import statistics as S
import subprocess
import sys
import time
from urllib.parse import urlparse

D = os.path.dirname(os.path.abspath(__file__))


def listeners(port):
    """pids that listen on the port, plus their children and same-session kin"""
    inodes = set()
    for f in ("/proc/net/tcp", "/proc/net/tcp6"):
        for ln in open(f).read().splitlines()[1:]:
            p = ln.split()
            if p[3] == "0A" and int(p[1].split(":")[1], 16) == port:
                inodes.add(f"socket:[{p[9]}]")
    pids = set()
    for d in glob.glob("/proc/[0-9]*"):
        try:
            if any(os.readlink(x) in inodes for x in glob.glob(d + "/fd/*")):
                pids.add(int(d[6:]))
        except OSError:
            pass
    kids = {}
    for d in glob.glob("/proc/[0-9]*"):
        try:
            kids.setdefault(int(open(d + "/stat").read().rsplit(")", 1)[1].split()[1]), []).append(int(d[6:]))
        except OSError:
            pass
    todo = list(pids)
    while todo:
        for k in kids.get(todo.pop(), ()):
            if k not in pids:
                pids.add(k)
                todo.append(k)
    return sorted(pids)


def cpu_ns(pids):
    t = 0
    for p in pids:
        for f in glob.glob(f"/proc/{p}/task/*/schedstat"):
            try:
                t += int(open(f).read().split()[0])
            except OSError:
                pass
    return t


def rss_kb(pids, key="Pss"):
    t = 0
    for p in pids:
        try:
            t += int(
                re.search(rf"^{key}:\s+(\d+)", open(f"/proc/{p}/smaps_rollup").read(), re.MULTILINE).group(1)
            )
        except Exception:
            pass
    return t


def lg(u, body, conns, secs, newconn, headers, pids=(), sample_rss=False):
    path = u.path if u.path not in ("", "/") else "/v1/messages"
    cmd = [
        "taskset",
        "-c",
        os.environ.get("LG_CPU", "0"),
        f"{D}/bin/lg",
        "127.0.0.1",
        str(u.port),
        path,
        f"{D}/bodies/{body}.json",
        str(conns),
        str(secs),
        "1" if newconn else "0",
        *headers,
    ]
    c0 = cpu_ns(pids)
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True)
    peak = 0
    while sample_rss and p.poll() is None:
        time.sleep(0.5)
        peak = max(peak, rss_kb(pids))
    out = json.loads(p.communicate()[0])
    c1 = cpu_ns(pids)
    out["cpu_s"] = (c1 - c0) / 1e9
    if out["requests"]:
        out["cpu_us_req"] = out["cpu_s"] * 1e6 / out["requests"]
    if out["events"]:
        out["cpu_us_ev"] = out["cpu_s"] * 1e6 / out["events"]
    out["cpu_util"] = out["cpu_s"] / out["secs"]
    out["rss_peak_mb"] = peak / 1024
    return out


def g(o, k, q):
    return o[k][q] if o.get(k) else None


def run(u, sc, conns, secs, reps, newconn, headers, pids, warm=1.0):
    body = {"stream": "stream_fire"}.get(sc, sc)
    stream = "stream" in body
    if warm:
        lg(u, "stream_ttfb" if stream else body, min(conns, 64), warm, newconn, headers)
    rs = [lg(u, body, conns, secs, newconn, headers, pids, stream) for _ in range(reps)]

    def m(f):
        v = [x for x in map(f, rs) if x is not None]
        return round(S.median(v), 2) if v else None

    r = dict(
        scenario=sc,
        conns=conns,
        rps=m(lambda o: o["rps"]),
        p50=m(lambda o: g(o, "lat_us", "p50")),
        p99=m(lambda o: g(o, "lat_us", "p99")),
        fev50=m(lambda o: g(o, "first_event_us", "p50")),
        fev99=m(lambda o: g(o, "first_event_us", "p99")),
        ttfb50=m(lambda o: g(o, "ttfb_us", "p50")),
        ttfb99=m(lambda o: g(o, "ttfb_us", "p99")),
        ev_s=m(lambda o: o["events_s"]),
        lag50=m(lambda o: g(o, "lag_us", "p50")),
        lag99=m(lambda o: g(o, "lag_us", "p99")),
        cpu_us_req=m(lambda o: o.get("cpu_us_req")),
        cpu_us_ev=m(lambda o: o.get("cpu_us_ev")),
        cpu_util=m(lambda o: o["cpu_util"]),
        rss_peak_mb=m(lambda o: o["rss_peak_mb"]),
        errors=sum(o["errors"] for o in rs),
        unfinished=sum(o["unfinished"] for o in rs),
        errbody=next((o["errbody"] for o in rs if o.get("errbody")), None),
    )
    return r


SUITE = [
    ("small", 1, 2),
    ("cc120k", 1, 2),
    ("stream_ttfb", 1, 1.5),
    ("small", 64, 2.5),
    ("cc120k", 64, 2.5),
    ("stream_fire", 100, 3),
    ("stream_paced", 1000, 2),
]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--target", required=True)
    a.add_argument("--scenario", default="all")
    a.add_argument("--conns", type=int, default=0)
    a.add_argument("--secs", type=float, default=3)
    a.add_argument("--reps", type=int, default=3)
    a.add_argument("--pid", type=int, action="append")
    a.add_argument("--newconn", action="store_true")
    a.add_argument("--header", action="append", default=[])
    a.add_argument("--json")
    a.add_argument("--label", default="")
    a = a.parse_args()
    u = urlparse(a.target)
    pids = a.pid or listeners(u.port)
    hdr = a.header or ["x-api-key: sk-test"]
    todo = (
        [(s, c, t) for s, c, t in SUITE]
        if a.scenario == "all"
        else [
            (s, a.conns or (1000 if s == "stream_paced" else 100 if "stream" in s else 64), a.secs)
            for s in a.scenario.split(",")
        ]
    )
    idle = rss_kb(pids) / 1024
    print(f"# {a.label or a.target} pids={pids} idle_pss={idle:.1f}MB", file=sys.stderr)
    for s, c, t in todo:
        r = run(u, s, c, t, 1 if s == "stream_paced" else a.reps, a.newconn, hdr, pids)
        r.update(label=a.label, idle_mb=round(idle, 1))
        print(
            f"{a.label:24} {s:13} c={c:<5} rps={r['rps']!s:<9} p50={r['p50']!s:<9} p99={r['p99']!s:<9} ttfb50={r['ttfb50']} 1stev50={r['fev50']} ev/s={r['ev_s']} lag50={r['lag50']} lag99={r['lag99']} cpu/req={r['cpu_us_req']} cpu/ev={r['cpu_us_ev']} util={r['cpu_util']} rss={r['rss_peak_mb']} err={r['errors']}/{r['unfinished']} {r['errbody'] or ''}",
            flush=True,
        )
        if a.json:
            open(a.json, "a").write(json.dumps(r) + "\n")


if __name__ == "__main__":
    main()
