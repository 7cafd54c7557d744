#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""64 sessions write, the gateway is killed, and every write that was acknowledged and flushed is there."""
# runner: timeout=150 serial
import os
import subprocess
import time

import _path  # noqa: F401
from lab import BUILD, STANDIN, Lab, require_built
from tap import Skip, case, need, run

LOAD = os.path.join(BUILD, "tests/lib/load")
SESSIONS = 64


def start_load(lab, journal, secs):
    load = subprocess.Popen([LOAD, "write", lab.url(1, 1), journal, str(SESSIONS), str(secs)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    line = load.stdout.readline()
    if line != f"{SESSIONS} sessions\n":
        load.kill()
        raise AssertionError(line + load.communicate()[0])
    return load


def end_load(load, why):
    out, _ = load.communicate(timeout=120)
    need(load.returncode == 0, f"{why}: {out}")
    print("\n".join(out.splitlines()[-3:]))
    return out


@case("64 sessions at once, and all of their writes are there")
def _(lab):
    journal = lab.path("journal")
    load = start_load(lab, journal, 4)
    time.sleep(1)
    shown = lab.op("target", "show")
    need(shown.count("I_T nexus: ") >= SESSIONS, f"{shown.count('I_T nexus: ')} sessions shown")
    out = end_load(load, "write")
    need(" 0 sessions lost" in out, out)
    lab.run(LOAD, "verify", lab.url(1, 1), journal)


@case("the sessions are spread over the cores")
def _(lab):
    if STANDIN:
        raise Skip("the stand-in has one thread")
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("this machine has one CPU")
    load = start_load(lab, lab.path("journal"), 3)
    task = f"/proc/{lab.gateway.proc.pid}/task"
    used = {}
    for tid in os.listdir(task):
        with open(f"{task}/{tid}/comm", encoding="ascii") as f:
            name = f.read().strip()
        with open(f"{task}/{tid}/stat", encoding="ascii") as f:
            if name.startswith("core/"):
                used[name] = (tid, int(f.read().rpartition(")")[2].split()[11]))
    time.sleep(2)
    busy = 0
    for name, (tid, before) in used.items():
        with open(f"{task}/{tid}/stat", encoding="ascii") as f:
            busy += int(f.read().rpartition(")")[2].split()[11]) > before
    end_load(load, "write")
    need(busy >= 2, f"{busy} of {len(used)} loops did any work")


@case("kill -9 under load: the same LUNs, new logins, every flushed write")
def _(lab):
    for turn in range(3):
        journal = lab.path("journal")
        load = start_load(lab, journal, 60)
        time.sleep(1.5 + turn / 2)
        before = lab.show() if turn == 0 else None
        lab.gateway.kill()
        out = end_load(load, "write")
        need(f" {SESSIONS} sessions lost" in out, out)
        lab.start()
        if STANDIN:
            lab.target(1)
            lab.lun(1, 1, lab.path("disk"))
        elif before:
            need(luns_of(lab.show()) == luns_of(before), "other LUNs after the restart")
        print(lab.run(LOAD, "verify", lab.url(1, 1), journal).stdout.splitlines()[-1])


def luns_of(shown):
    return [line for line in shown.splitlines() if any(w in line for w in ("Target ", "LUN: ", "SCSI ", "Backing"))]


require_built()
with Lab() as lab_:
    lab_.target(1)
    lab_.lun(1, 1, lab_.file("disk", SESSIONS << 20))
    failed = run(lab_)
raise SystemExit(failed)
