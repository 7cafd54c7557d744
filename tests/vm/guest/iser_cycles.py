# SPDX-License-Identifier: BSD-3-Clause
"""A thousand iSER logins and logouts by three initiators, and what they leave: nothing, in the gateway or the kernel."""
import json
import os
import subprocess
import time

import _initiator as ini
import _iser
from tap import case, need, run

MIB = 1 << 20
LINUX, LIBISCSI, RAW = 50, 50, 900
# Of 300 cycles: 0.9 KiB each.
LEAK_KIB = 256


def raw(lab, count):
    out = subprocess.run(["raw_iser", lab.iser, lab.iqn(2), "1", "cycles", str(count)], capture_output=True, text=True,
                         timeout=400, check=False)
    need(out.returncode == 0, out.stdout + out.stderr)
    print(out.stdout, flush=True)


def linux(lab, count):
    for _turn in range(count):
        ini.node(lab.iqn(1), lab.iser, "--login", iface="iser")
        ini.node(lab.iqn(1), lab.iser, "--logout", iface="iser")


def libiscsi(lab, count):
    for _turn in range(count):
        ini.sh("iscsi-readcapacity16", f"iser://{lab.iser}/{lab.iqn(2)}/1")


def counted(lab):
    """All that a session takes: of the kernel by both ends, and of the gateway."""
    cores = json.loads(lab.op("system", "stat", "--name", "cores", "--json"))["cores"]
    usage = {f"{name} of core {c['id']}": u["used"] for c in cores for name, u in c["usage"].items()}
    live = {f"{name} of core {c['id']}": c["counters"][name] for c in cores for name in ("conns_live", "sessions")}
    return {**_iser.quiet_resources(), "fds": len(os.listdir(f"/proc/{lab.gateway.proc.pid}/fd")), **usage, **live}


def memory(lab):
    for line in ini.text_of(f"/proc/{lab.gateway.proc.pid}/status").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def same(before, after):
    need(before == after, "; ".join(f"{k}: {before.get(k)} became {after.get(k)}" for k in {**before, **after}
                                    if before.get(k) != after.get(k)))


def cycles(lab, what, count, first=3):
    """The first of a kind make what is kept; the rest must leave all as those did."""
    what(lab, first)
    before, size, began = counted(lab), memory(lab), time.monotonic()
    what(lab, count - first)
    print(f"{count - first} cycles in {time.monotonic() - began:.1f} s", flush=True)
    same(before, counted(lab))
    return memory(lab) - size


@case(f"{LINUX} sessions of Linux's initiator leave nothing behind")
def _(lab):
    ini.discover(lab.iser, "iser")
    cycles(lab, linux, LINUX)


@case(f"{LIBISCSI} sessions of libiscsi leave nothing behind")
def _(lab):
    cycles(lab, libiscsi, LIBISCSI)


@case(f"{RAW} sessions with data, some of them left without a logout, leave nothing behind")
def _(lab):
    # More connections at once than ever before make the gateway grow, once: how many there are hangs on how soon it
    # sees that one was left. What each cycle loses, every round of them loses.
    grown = [cycles(lab, raw, RAW // 3) for _round in range(3)]
    print(f"grown by {grown} KiB", flush=True)
    need(min(grown) < LEAK_KIB, f"the gateway has grown by {grown} KiB")


@case("without sessions no queue pair, and none of the buffers, is taken")
def _(lab):
    now = counted(lab)
    taken = {k: n for k, n in now.items() if n and (" of core " in k)}
    need(not taken, str(taken))
    lab.gateway.kill()
    left = _iser.quiet_resources()
    need(left["ctx"] == 0 and left["mr"] == 0 and left["qp"] == now["qp"], f"{now} became {left}")
    lab.start()


ini.start(_iser.MODULE)
with _iser.gateway() as lab_:
    for t in (1, 2):
        _iser.add(lab_, t, 16 * MIB)
    failed = run(lab_)
raise SystemExit(failed)
