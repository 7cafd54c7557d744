#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In a QEMU guest with an emulated NVMe device: fio's passthrough beside the gateway on the same namespace.

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

GUEST_SECS = 560
LOADS = {"r1": "4K read QD1", "r32": "4K read QD32", "w1": "4K write QD1", "w32": "4K write QD32"}
FIO, NVME, URING, NULL = "fio ng", "nvme", "uring", "null"
CONTENDERS = [FIO, NVME, URING, NULL]


def options():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--rounds", type=int, default=3, help="each run is repeated so often (3)")
    ap.add_argument("--seconds", type=float, default=2, help="of a measured window (2)")
    ap.add_argument("--warmup", type=float, default=1, help="seconds of load before it (1)")
    ap.add_argument("--loads", default=",".join(LOADS), help="of " + ",".join(LOADS))
    ap.add_argument("--contenders", default=",".join(CONTENDERS),
                    help="of fio block, nvme iopoll and " + ",".join(CONTENDERS))
    ap.add_argument("--lock", help="hold this file's lock while measuring, share it else, on a machine that others use")
    ap.add_argument("--out", default=os.path.join(_guest.BUILD, "bench"))
    return ap.parse_args()


class NvmeHost(_host.Host):
    """With the device that all contenders use."""

    def hardware(self, work):
        return [*super().hardware(work), "-drive", "if=none,id=d,driver=null-co,size=268435456,read-zeroes=on",
                "-device", "nvme,serial=bench,drive=d,max_ioqpairs=4"]


def value(runs, what):
    values = [r[what] for r in runs if what in r]
    return statistics.median(values) if values else None


def ratio(over, under):
    """Median over the rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(over, under)) if over and under else None


def column(results, load, name, what):
    return [r[what] for r in results.get((load, name), []) if what in r]


def judge(results, load):
    iops = {n: column(results, load, n, "iops") for n in (FIO, NVME, URING)}
    cpu = {n: column(results, load, n, "cpu") for n in (FIO, NVME, URING, NULL)}
    storage = [a - b for a, b in zip(cpu[NVME], cpu[NULL])]
    return {"load": load, "nvme/uring": ratio(iops[NVME], iops[URING]), "nvme/fio": ratio(iops[NVME], iops[FIO]),
            "cpu nvme/uring": ratio(cpu[NVME], cpu[URING]),
            "storage": statistics.median(storage) if storage else None, "storage/fio": ratio(storage, cpu[FIO])}


def tables(results, verdicts):
    rows = [["", "IOPS", "CPU µs per I/O", "of the process", "enters per I/O", "vCPU", "emulated device"]]
    for (load, name), runs in results.items():
        rows.append([f"{LOADS[load]}: {name}", *(_report.short(value(runs, w)) for w in
                                                 ("iops", "cpu", "process", "enters", "vcpu", "device"))])
    yield "Medians", rows
    rows = [["", "IOPS nvme / uring", "IOPS nvme / fio", "CPU nvme / uring", "storage µs", "storage / fio"]]
    for v in verdicts:
        rows.append([LOADS[v["load"]], *(_report.short(v[w]) for w in
                                         ("nvme/uring", "nvme/fio", "cpu nvme/uring", "storage", "storage/fio"))])
    yield "Ratios", rows


def show(results, verdicts):
    for title, rows in tables(results, verdicts):
        print(f"\n{title}:\n")
        for n, r in enumerate(rows):
            print("| " + " | ".join(r) + " |")
            if n == 0:
                print("| --- |" + " ---: |" * (len(r) - 1))


def main():
    o = options()
    host, results = NvmeHost(o.lock, 1), {}

    def wish(monitor, name, *args):
        if name == "host":
            host.start(monitor)
        elif name == "run":
            run = json.loads(args[0])
            results.setdefault((run.pop("load"), run.pop("contender").replace("_", " ")), []).append(run)

    script = (f"nvme_bench.py --rounds {o.rounds} --seconds {o.seconds} --warmup {o.warmup} --loads {o.loads} "
              f"--contenders {o.contenders.replace(' ', '_')}")
    # On one CPU of this machine: on two, QEMU 7.2's device leaves commands unanswered at times, until the driver's
    # patience ends. In the guest a clock that need not ask the device model, and no remedies for faults that an emulator
    # has not.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    code = _guest.run_script(script, GUEST_SECS, host.hardware, wish, "tsc=reliable mitigations=off",
                             ["tests/bench/lean"])
    if code:
        return code
    verdicts = [judge(results, load) for load in o.loads.split(",")]
    os.makedirs(o.out, exist_ok=True)
    with open(os.path.join(o.out, "nvme.json"), "w", encoding="utf-8") as f:
        json.dump({"runs": [{"load": ld, "contender": n, "rounds": r} for (ld, n), r in results.items()],
                   "ratios": verdicts}, f, indent=1)
    show(results, verdicts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
