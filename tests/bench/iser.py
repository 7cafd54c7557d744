#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In a QEMU guest with soft RoCE: the gateway over iSER beside the kernel's ib_isert, and both over TCP.

Exit codes: 0 measured (whether goals are met or not), 1 the guest failed.
"""
import argparse
import json
import os
import statistics
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(TOP, "tests/vm"))
import _guest  # noqa: E402
import _host  # noqa: E402
import _report  # noqa: E402

GUEST_SECS = 900
LOADS = {"r1": "4K read QD1", "r32": "4K read QD32", "w1": "4K write QD1", "w32": "4K write QD32",
         "R16": "256K read QD16", "W16": "256K write QD16"}
TITLES = {"isert": "LIO iSER (ib_isert)", "iser": "lichgate iSER", "tcp": "lichgate TCP", "lio_tcp": "LIO TCP"}
OURS = ("iser", "tcp")
# Title, what, which of the one, which of the other.
RATIOS = [("IOPS iSER / ib_isert", "iops", "iser", "isert"), ("IOPS iSER / TCP", "iops", "iser", "tcp"),
          ("p99 iSER / ib_isert", "p99", "iser", "isert"), ("CPU iSER / ib_isert", "cpu_vcpu", "iser", "isert"),
          ("CPU iSER / TCP", "cpu_vcpu", "iser", "tcp"), ("gateway's CPU iSER / TCP", "cpu_process", "iser", "tcp")]
# Title of a ratio, and whether it is as good as it has to be.
GOALS = {"IOPS iSER / ib_isert": ("≥ 1", lambda r: r >= 1), "CPU iSER / TCP": ("< 1", lambda r: r < 1)}


def options():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--rounds", type=int, default=4, help="each run is repeated so often, in turns from either end (4)")
    ap.add_argument("--seconds", type=float, default=2, help="of a measured window (2)")
    ap.add_argument("--warmup", type=float, default=1, help="seconds of load before it (1)")
    ap.add_argument("--loads", default=",".join(LOADS), help="of " + ",".join(LOADS))
    ap.add_argument("--contenders", default=",".join(TITLES), help="of " + ",".join(TITLES))
    ap.add_argument("--cpus", type=int, default=2, help="of the guest (2; with 1 the initiator preempts, and is preempted)")
    ap.add_argument("--cores", help="of these, the gateway's: as its own --cores (all)")
    ap.add_argument("--mtu", type=int, default=9000, help="of the guest's network (9000: RoCE's largest fits)")
    ap.add_argument("--quick", action="store_true", help="one round of 1 s")
    ap.add_argument("--lock", help="hold this file's lock while measuring, share it else, on a machine that others use")
    ap.add_argument("--out", default=os.path.join(_guest.BUILD, "bench"))
    o = ap.parse_args()
    if o.quick:
        o.rounds, o.seconds, o.warmup = 1, 1, 0.5
    return o


def column(results, load, name, what):
    return [r[what] for r in results.get((load, name), [])]


def ratios(results, load):
    """Median, least and most over the rounds of the ratio within a round."""
    found = {}
    for title, what, over, under in RATIOS:
        pairs = [a / b for a, b in zip(column(results, load, over, what), column(results, load, under, what)) if b]
        if pairs:
            found[title] = (statistics.median(pairs), min(pairs), max(pairs))
    return found


def medians(results, loads):
    yield ["", "IOPS", "p99 µs", "CPU µs per I/O", "as the guest counts", "of the gateway", "CPUs busy", "taken away"]
    for load in loads:
        for name, title in TITLES.items():
            if (load, name) not in results:
                continue
            cells = [statistics.median(column(results, load, name, what))
                     for what in ("iops", "p99", "cpu_vcpu", "cpu_guest", "cpu_process", "busy", "waited")]
            if name not in OURS:
                cells[4] = None
            yield [f"{LOADS[load]}: {title}", *map(_report.short, cells)]


def spread(three):
    middle, least, most = map(_report.short, three)
    return middle if least == most else f"{middle} ({least}–{most})"


def compared(results, loads):
    titles = [r[0] for r in RATIOS]
    yield ["", *(t + (", goal " + GOALS[t][0] if t in GOALS else "") for t in titles)]
    for load in loads:
        found = ratios(results, load)
        yield [LOADS[load], *(spread(found[t]) + (" NOT MET" if t in GOALS and not GOALS[t][1](found[t][0]) else "")
                              if t in found else "–" for t in titles)]


def show(results, loads):
    for title, rows in (("Medians", medians(results, loads)), ("Ratios, round by round", compared(results, loads))):
        print(f"\n{title}:\n")
        for n, r in enumerate(rows):
            print("| " + " | ".join(r) + " |")
            if n == 0:
                print("| --- |" + " ---: |" * (len(r) - 1))


def save(path, results, loads):
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"runs": [{"load": ld, "contender": n, "rounds": r} for (ld, n), r in results.items()],
                   "ratios": {ld: ratios(results, ld) for ld in loads}}, f, indent=1)


def main():
    o = options()
    host, results, loads = _host.Host(o.lock, o.cpus), {}, o.loads.split(",")

    def wish(monitor, name, *args):
        if name == "host":
            host.start(monitor)
        elif name == "run":
            run = json.loads(args[0])
            results.setdefault((run.pop("load"), run.pop("contender")), []).append(run)

    script = (f"iser_bench.py --rounds {o.rounds} --seconds {o.seconds} --warmup {o.warmup} --loads {o.loads} "
              f"--contenders {o.contenders} --mtu {o.mtu}" + (f" --cores {o.cores}" if o.cores else ""))
    # A clock that need not ask the device model, and no remedies for faults that an emulator has not.
    code = _guest.run_script(script, GUEST_SECS, host.hardware, wish, "tsc=reliable mitigations=off")
    if code:
        return code
    os.makedirs(o.out, exist_ok=True)
    save(os.path.join(o.out, "iser.json"), results, loads)
    show(results, loads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
