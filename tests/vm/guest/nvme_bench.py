# SPDX-License-Identifier: BSD-3-Clause
"""fio on an NVMe namespace beside the gateway on the same one, in turns: one line "@run JSON" for each run.

All on one CPU, so that what is compared is work, and not how an emulator lets one CPU wait for another.
"""
import argparse
import glob
import json
import os
import subprocess
import time

import _initiator as ini
from _host import Host
from lab import BUILD, SCALE, Lab, wait_for

GENERIC, BLOCK = "/dev/ng0n1", "/dev/nvme0n1"
LOADS = {"r1": ("read", 1), "r32": ("read", 32), "w1": ("write", 1), "w32": ("write", 32)}
FIO = ["fio", "--name=f", "--thread", "--bs=4k", "--norandommap", "--randrepeat=0", "--time_based",
       "--gtod_reduce=1", "--output-format=json"]
LUNS = {"nvme": (GENERIC, "nvme"), "nvme iopoll": (GENERIC, "nvme", "--bsopts", "iopoll=1"),
        "uring": (BLOCK, "rdwr", "--bsoflags", "direct"), "null": ("null", "null")}
ENGINES = {"fio ng": (GENERIC, "--ioengine=io_uring_cmd", "--cmd_type=nvme", "--fixedbufs", "--registerfiles"),
           "fio block": (BLOCK, "--ioengine=io_uring", "--fixedbufs", "--registerfiles", "--direct=1")}
MARGIN = 0.3
# The emulator has one CPU of the machine, and whoever is measured always wants it. A run is repeated when less than
# this share of it was used: somebody else had it, or the device stood still.
BUSY, TRIES = 0.7, 3


def window(host, pid, o):
    """Shares of a CPU that the vCPUs, the emulator's other threads, and the process used in the middle of a run."""
    time.sleep(o.warmup)
    begin = host.times(pid)
    time.sleep(o.seconds)
    share = [b - a for a, b in zip(begin, host.times(pid))]
    return [s / share[-1] for s in share[:-1]]


def summary(iops, shares):
    vcpu, _, device, process = shares
    return {"iops": iops, "cpu": 1e6 * vcpu / iops, "process": 1e6 * process / iops, "vcpu": vcpu, "device": device}


def output(proc, secs):
    out, err = proc.communicate(timeout=secs * SCALE)
    if proc.returncode:
        raise AssertionError(f"{proc.args}: exit {proc.returncode}\n{out}{err}")
    return out


def fio(name, load, host, o):
    path, *engine = ENGINES[name]
    rw, depth = LOADS[load]
    argv = [*FIO, "--filename=" + path, *engine, "--rw=rand" + rw, f"--iodepth={depth}", "--ramp_time=0",
            f"--runtime={o.warmup + o.seconds + MARGIN}"]
    proc = subprocess.Popen(argv, env=ini.ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)
    # Its job is a second thread.
    wait_for(lambda: proc.poll() is not None or len(os.listdir(f"/proc/{proc.pid}/task")) > 1, 10 * SCALE, "fio runs")
    if proc.poll() is not None:
        output(proc, 1)
    shares = window(host, proc.pid, o)
    out = output(proc, 60)
    return summary(json.loads(out[out.index("{"):])["jobs"][0][rw]["iops"], shares)


def enters(lab):
    cores = json.loads(lab.tadm("--mode", "system", "--op", "stat", "-n", "cores", "--json"))
    return find(cores, "enters")


def find(tree, name):
    """The sum of all counters of that name."""
    if isinstance(tree, dict):
        return sum(v if k == name else find(v, name) for k, v in tree.items())
    return sum(find(v, name) for v in tree) if isinstance(tree, list) else 0


def lean(load, lab, host, o):
    rw, depth = LOADS[load]
    before = enters(lab)
    # Its window begins and ends around ours.
    proc = subprocess.Popen([os.path.join(BUILD, "lean"), "--url", lab.url(1, 1), "--json", "--sleep",
                             "--rw", rw, "--depth", str(depth), "--warmup", str(o.warmup / 2),
                             "--seconds", str(o.warmup / 2 + o.seconds + MARGIN)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shares = window(host, lab.gateway.proc.pid, o)
    run = json.loads(output(proc, 60))
    if run["errors"]:
        raise AssertionError(f"{run['errors']} errors")
    found = summary(run["iops"], shares)
    found["enters"] = (enters(lab) - before) / (run["iops"] * (o.warmup + o.seconds + MARGIN))
    return found


def gateway(name, load, host, lab, o):
    lab.lun(1, 1, *LUNS[name])
    try:
        return lean(load, lab, host, o)
    finally:
        wait_for(lambda: lab.tadm_code("--lld", "iscsi", "--mode", "logicalunit", "--op", "delete", "--tid", 1,
                                       "--lun", 1) == 0, 10 * SCALE, "the LUN is free")


def busy(run):
    return run["vcpu"] + run["device"]


def measure(name, load, host, lab, o):
    """The least disturbed of a few tries. One may fail: an emulated guest stands still for long now and then."""
    tries, failed = [], 0
    while not tries or (busy(tries[-1]) < BUSY and len(tries) < TRIES):
        try:
            tries.append(fio(name, load, host, o) if name in ENGINES else gateway(name, load, host, lab, o))
        except AssertionError as e:
            failed += 1
            print(f"{name} {load} failed: {e}", flush=True)
            if failed == TRIES:
                raise
    return max(tries, key=busy)


def options():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rounds", type=int)
    ap.add_argument("--seconds", type=float)
    ap.add_argument("--warmup", type=float)
    ap.add_argument("--loads")
    ap.add_argument("--contenders")
    return ap.parse_args()


def main():
    o = options()
    ini.sh("modprobe", "nvme", "poll_queues=1")
    wait_for(lambda: glob.glob(GENERIC), 30 * SCALE, "the namespace is there")
    host = Host()
    with Lab() as lab:
        lab.target(1)
        for _ in range(o.rounds):
            for load in o.loads.split(","):
                host.ask(b"(")
                for name in o.contenders.replace("_", " ").split(","):
                    run = measure(name, load, host, lab, o)
                    run.update(load=load, contender=name.replace(" ", "_"))
                    print("@run", json.dumps(run, separators=(",", ":")), flush=True)
                host.ask(b")")


main()
