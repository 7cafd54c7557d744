#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Very many sessions: what each of them costs, that they live, and that all of it comes back."""
# runner: timeout=120 serial
import json
import os
import subprocess
import time

import _path  # noqa: F401
from lab import BUILD, STANDIN, Lab, require_built
from tap import Skip, case, need, run

SESSIONS = os.path.join(BUILD, "tests/bench/sessions")
MANY = int(os.environ.get("LGT_SESSIONS", "2000"))
LIMIT = 32 << 10


class Crowd:
    """`sessions` at work."""

    def __init__(self, lab, count, portal=None):
        host, _, port = (portal or lab.portal).rpartition(":")
        self.proc = subprocess.Popen([SESSIONS, host, port, lab.iqn(), str(count)], text=True, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.hello = self.answer()

    def answer(self):
        line = self.proc.stdout.readline().strip()
        need(line and line[0].isdigit(), line)
        return line

    def tell(self, what):
        self.proc.stdin.write(what + "\n")
        self.proc.stdin.flush()
        return self.answer()

    def out(self):
        said = self.tell("out")
        need(self.proc.wait(60) == 0)
        return said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.communicate()


def rss(lab):
    with open(f"/proc/{lab.gateway.proc.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:"))


def slab():
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("Slab:"))


def cpu_seconds(lab):
    with open(f"/proc/{lab.gateway.proc.pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cores(lab):
    return json.loads(lab.op("system", "stat", "--name", "cores", "--json"))["cores"]


def sessions(lab):
    return [c["counters"]["sessions"] for c in cores(lab)]


@case(f"{MANY} sessions take less than 32 KiB each, and live")
def _(lab):
    before, kernel = rss(lab), slab()
    with Crowd(lab, MANY) as crowd:
        print(crowd.hello)
        lab.peak = rss(lab)
        each = (lab.peak - before) / MANY
        print(f"{each:.0f} bytes of the gateway for each, {(slab() - kernel) / MANY:.0f} of the kernel for both ends")
        need(os.environ.get("LGT_SAN") or each < LIMIT, f"{each:.0f} bytes for each session")
        need(sum(sessions(lab)) == MANY, sessions(lab))
        need(crowd.tell("ping") == f"{MANY} alive")
        need(crowd.tell("read 100 0") == f"{MANY // 100} read")
        lab.run("iscsi-readcapacity16", lab.url(1, 1))
        need(crowd.out() == f"{MANY} out")


@case("when they have gone, nothing is in use and pools are as small as before")
def _(lab):
    def back():
        return [c for c in cores(lab) if any(u["used"] for u in c["usage"].values()) or c["placed"] or
                c["counters"]["sessions"] or c["counters"]["conns_live"]]
    end = time.monotonic() + 10
    while back() and time.monotonic() < end:
        time.sleep(0.1)
    need(not back(), f"still in use: {back()}")
    grown = {name for c, first in zip(cores(lab), lab.fresh) for name, u in c["usage"].items()
             if u["total"] != first["usage"][name]["total"]}
    need(not grown, f"larger than at the start: {grown}")


@case("the second crowd costs no more than the first")
def _(lab):
    # But for receive chunks that had never been used: a few MiB at most.
    with Crowd(lab, MANY) as crowd:
        more = (rss(lab) - lab.peak) / MANY
        print(f"{more:.0f} bytes more for each")
        crowd.out()
    need(os.environ.get("LGT_SAN") or more < LIMIT / 8, f"{more:.0f} bytes more for each session")


@case("sessions that come and go leave the cores even")
def _(lab):
    if len(cores(lab)) < 2:
        raise Skip("this machine has one CPU")
    with Crowd(lab, 100) as first, Crowd(lab, 57) as second:
        even(lab, 157)
        for _ in range(3):
            lab.run("iscsi-ls", lab.portal_url())
        first.out()
        with Crowd(lab, 80):
            even(lab, 137)
        second.out()


def even(lab, count):
    """Equal within what placing allows, and what was still on its way out when the last one came."""
    n = sessions(lab)
    print(f"sessions of each core: {n}")
    need(sum(n) == count and max(n) - min(n) <= 2 + count // 8, n)


@case("a gateway with 100 sessions that do nothing takes less than 1 % of a core")
def _(lab):
    if os.environ.get("LGT_SAN"):
        raise Skip("an instrumented gateway costs more")
    with Crowd(lab, 100) as crowd:
        time.sleep(0.5)
        before = cpu_seconds(lab)
        time.sleep(5)
        used = cpu_seconds(lab) - before
        print(f"{used:.2f} s of CPU in 5 s")
        need(used < 0.05, f"{used:.2f} s of CPU in 5 s")
        crowd.out()


@case("--cores chooses where the threads run")
def _(lab):
    cpu = max(os.sched_getaffinity(0))
    with Lab(gateway_args=["--cores", f"{cpu},{cpu}"]) as other:
        other.target(1)
        other.lun(1, 1, other.file("disk", "1M"))
        need([c["cpu"] for c in cores(other)] == [cpu, cpu])
        for tid in os.listdir(f"/proc/{other.gateway.proc.pid}/task"):
            with open(f"/proc/{other.gateway.proc.pid}/task/{tid}/comm", encoding="ascii") as f:
                if f.read().startswith("core/"):
                    need(os.sched_getaffinity(int(tid)) == {cpu}, os.sched_getaffinity(int(tid)))
        with Crowd(other, 20) as crowd:
            even(other, 20)
            crowd.out()


require_built()
if STANDIN:
    print("the stand-in has no counters of cores")
    raise SystemExit(77)
with Lab() as lab_:
    lab_.target(1)
    lab_.lun(1, 1, lab_.file("disk", "64M"))
    lab_.fresh = cores(lab_)
    failed = run(lab_)
raise SystemExit(failed)
