#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What idle sessions cost: how fast they log in, and the memory of each, in the gateway and in the kernel.

    scale.py [COUNT…]     (1000 10000)

The gateway has the first CPU, then both; the client the second. The kernel's part is the growth of its slabs, which holds
both ends of each connection, since both are on this machine.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from lab import BUILD, Lab, require_built  # noqa: E402

SESSIONS = os.path.join(BUILD, "tests/bench/sessions")
PATIENCE = 120


def memory(lab):
    """Bytes of the gateway, and of the kernel's slabs."""
    with open(f"/proc/{lab.gateway.proc.pid}/status", encoding="ascii") as f:
        rss = next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:"))
    with open("/proc/meminfo", encoding="ascii") as f:
        slab = next(int(line.split()[1]) << 10 for line in f if line.startswith("Slab:"))
    return rss, slab


def crowd(count, cores, cpu):
    """Logins a second, bytes of a session in the gateway and in the kernel."""
    with Lab(gateway_args=["--cores", cores]) as lab:
        lab.target(1)
        lab.lun(1, 1, "nothing", "null", "--bsopts", "size=1073741824")
        before = memory(lab)
        client = subprocess.Popen(["taskset", "-c", str(cpu), SESSIONS, *lab.portal.split(":"), lab.iqn(), str(count)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        hello = client.stdout.readline().split()
        if len(hello) < 5:
            sys.exit(f"scale: {count} sessions do not come about (exit {client.wait()})")
        after = memory(lab)
        client.communicate("out\n", timeout=PATIENCE)
        return int(hello[4]), (after[0] - before[0]) / count, (after[1] - before[1]) / count


def main():
    require_built()
    try:
        counts = [int(arg) for arg in sys.argv[1:]] or [1000, 10000]
    except ValueError:
        sys.exit("scale: the arguments are numbers of sessions.")
    own = sorted(os.sched_getaffinity(0))
    if len(own) < 2:
        sys.exit("scale: needs two CPUs, one for the client.")
    print(f"{'cores':>6} {'sessions':>9} {'logins/s':>9} {'bytes each':>11} {'kernel bytes, both ends':>24}")
    for cores in (f"{own[0]}", f"{own[0]},{own[1]}"):
        for count in counts:
            rate, mine, kernel = crowd(count, cores, own[1])
            print(f"{cores:>6} {count:>9} {rate:>9} {mine:>11.0f} {kernel:>24.0f}", flush=True)


if __name__ == "__main__":
    main()
