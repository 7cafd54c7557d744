#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=180
"""The load generator and the limit are right before they are fast: no errors, what is read is what was written."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import lab as L

LEAN = os.path.join(L.BUILD, "tests/bench/lean")
LIMIT = os.path.join(L.BUILD, "tests/bench/limit")
CHECKED = ["--verify", "--span", "2M"]
LOGOUT = 0x46
LATE_SECS = 0.5
failed = []


def lean(url, *args):
    """Report, and exit code."""
    p = subprocess.run([LEAN, "--url", url, "--json", "--seconds", "0.1", "--warmup", "0.02", *args],
                       capture_output=True, text=True, timeout=50, check=False)
    try:
        return json.loads(p.stdout), p.returncode
    except ValueError:
        return {"said": p.stderr}, p.returncode


def case(name, ok, what=""):
    print(("ok " if ok else "not ok ") + name + ("" if ok else f": {what}"), flush=True)
    if not ok:
        failed.append(name)


def good(name, url, *args):
    r, code = lean(url, *args)
    case(name, code == 0 and r.get("errors") == 0 and r.get("ios", 0) > 0 and r["ios"] == r["reads"] + r["writes"], r)


def whole(name, report):
    lat = report.get("lat_us", {})
    order = [lat.get(k, -1) for k in ("p50", "p95", "p99", "p99.9")]
    case(name, order == sorted(order) and 0 < lat["mean"] <= lat["max"] and report["cpu_s"]["target"] > 0 and
         abs(report["iops"] * report["seconds"] - report["ios"]) < 1 + report["ios"] / 1000, report)


def limit(args):
    port = L.free_port()
    proc = subprocess.Popen([LIMIT, "--port", str(port), *args])

    def listens():
        with L.socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    L.wait_for(listens, L.READY_SECS, "the limit listens")
    return proc, port


def url_of(port):
    return f"iscsi://127.0.0.1:{port}/iqn.2026-11.org.example:t1/1"


def late_logout(port):
    """A relay of one connection that keeps back the logout, as a busy target its answer; returns the relay's port.

    A client that sends nothing before it has its answers sends the logout by itself."""
    door = L.socket.create_server(("127.0.0.1", 0))

    def carry(src, dst):
        # A client that gives up has gone before the answer comes.
        with contextlib.suppress(OSError):
            while data := src.recv(65536):
                if data[0] == LOGOUT:
                    time.sleep(LATE_SECS)
                dst.sendall(data)
            dst.shutdown(L.socket.SHUT_WR)

    def relay():
        with door, door.accept()[0] as near, L.socket.create_connection(("127.0.0.1", port)) as far:
            back = threading.Thread(target=carry, args=(far, near), daemon=True)
            back.start()
            carry(near, far)
            back.join()

    threading.Thread(target=relay, daemon=True).start()
    return door.getsockname()[1]


def against_limit(folder):
    path = os.path.join(folder, "file")
    with open(path, "wb") as f:
        f.truncate(8 << 20)
    proc, port = limit(["--file", path])
    url = url_of(port)
    try:
        good("limit: reads", url, "--depth", "32")
        good("limit: large reads, one at a time", url, "--bs", "256K", "--depth", "1")
        good("limit: a checked mixture, 1 MiB, data asked for", url, *CHECKED, "--bs", "1M", "--depth", "2", "--rw",
             "mixed", "--first-burst", "8192")
        good("limit: two threads, five sessions, sleeping", url, *CHECKED, "--threads", "2", "--sessions", "5",
             "--depth", "4", "--rw", "mixed", "--sleep")
        good("limit: reads in small pieces", url, *CHECKED, "--bs", "64K", "--mrdsl", "4096", "--depth", "3")
        good("limit: a window over before anything is answered", url, "--warmup", "0", "--seconds", "1e-9")
        r, _ = lean(url, "--pid", str(proc.pid), "--depth", "4", "--seconds", "0.5")
        whole("the report is whole", r)
        r, code = lean(url, "--digest", "both")
        case("digests that the target does not have are an error", code == 1 and "digests" in r.get("said", ""), r)
        r, code = lean(url_of(late_logout(port)), "--idle", "--sleep")
        case("an answer to the logout may take its time", code == 0 and r.get("sessions") == 1, r)
    finally:
        proc.kill()
        proc.wait()


def against_memory():
    """It answers every read from the same place: --verify has to notice."""
    proc, port = limit([])
    url = url_of(port)
    try:
        good("limit in memory: writes", url, "--rw", "write", "--depth", "32")
        r, code = lean(url, *CHECKED)
        case("what was not written is noticed", code == 1 and r.get("errors", 0) > 0, r)
    finally:
        proc.kill()
        proc.wait()


def against_gateway():
    with L.Lab() as lab:
        lab.target(1)
        lab.lun(1, 1, lab.file("disk", "8M"))
        url = lab.url(1, 1)
        for digest in ("none", "both"):
            good(f"gateway: checked 4K, digests {digest}", url, *CHECKED, "--depth", "16", "--rw", "mixed", "--digest",
                 digest)
        good("gateway: checked 256K", url, *CHECKED, "--bs", "256K", "--depth", "4", "--rw", "mixed")
        r, code = lean(url, "--sessions", "20", "--idle", "--sleep")
        case("gateway: idle sessions", code == 0 and r.get("ios") == 0 and r.get("sessions") == 20, r)


def main():
    L.require_built()
    with tempfile.TemporaryDirectory(prefix="lgt-bench.") as folder:
        against_limit(folder)
    against_memory()
    against_gateway()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
