# SPDX-License-Identifier: BSD-3-Clause
"""The gateway over iSER and TCP beside the kernel's target over both, in turns: one line "@run JSON" for each run.

Everything is on this machine: initiator, soft RoCE, targets. All sessions stand from the start, idle until their turn.
"""
import argparse
import json
import os
import re
import subprocess
import time

import _initiator as ini
import _lio
import _rdma
from _host import Host
from lab import SCALE, Lab, wait_for

LOADS = {"r1": ("randread", "4k", 1), "r32": ("randread", "4k", 32), "w1": ("randwrite", "4k", 1),
         "w32": ("randwrite", "4k", 32), "R16": ("randread", "256k", 16), "W16": ("randwrite", "256k", 16)}
SIZE = 64 << 20
PORTS = {"isert": 3260, "lio_tcp": 3261, "iser": 3262, "tcp": 3263}
IFACES = {"isert": "iser", "lio_tcp": "default", "iser": "iser", "tcp": "default"}
FIO = ["fio", "--name=f", "--thread", "--ioengine=libaio", "--direct=1", "--norandommap", "--randrepeat=0",
       "--time_based", "--lat_percentiles=1", "--clat_percentiles=0", "--output-format=json"]
# No keep-alive in the middle of a window.
SETTINGS = {"node.conn[0].timeo.noop_out_interval": 0, "node.conn[0].timeo.noop_out_timeout": 0,
            "node.session.queue_depth": 64}
QUEUE = {"scheduler": "none", "nomerges": "2", "add_random": "0"}
ASKED = "InitialR2T|ImmediateData|FirstBurstLength|MaxBurstLength|Max.*DataSegmentLength"
MARGIN = 0.5


def portal(name):
    return f"{_rdma.ADDRESS}:{PORTS[name]}"


def iqn(name):
    return f"iqn.2026-11.org.example:{name.replace('_', '-')}"


def login(name):
    """The disk, written through once: no contender meets memory that it has not got yet."""
    where = iqn(name), portal(name)
    ini.node(*where, "-o", "new", "-I", IFACES[name])
    ini.settings(*where, SETTINGS)
    disk = ini.login(*where)
    queue = f"/sys/block/{os.path.basename(disk)}/queue/"
    for attr, value in QUEUE.items():
        wait_for(lambda path=queue + attr: os.path.exists(path), 10 * SCALE, "the disk's queue is there")
        with open(queue + attr, "w", encoding="ascii") as f:
            f.write(value)
    ini.sh("dd", "if=/dev/zero", "of=" + disk, "bs=1M", f"count={SIZE >> 20}", "oflag=direct")
    found = ini.sh("iscsiadm", "-m", "session", "-P", "2").partition(iqn(name) + " ")[2].partition("Target:")[0]
    print(f"{name} is {disk}:", *re.findall(f"(?:{ASKED}): .*", found), flush=True)
    return disk


def ours(lab, names):
    for tid, name in enumerate(names, 1):
        lab.target(tid, iqn(name))
        lab.lun(tid, 1, "memory", "mem", "--bsopts", f"size={SIZE}")
    if "iser" in names:
        lab.tadm("--op", "new", "--mode", "portal", "--param", f"portal={portal('iser')},transport=iser")


def ios(disk):
    with open(f"/sys/block/{os.path.basename(disk)}/stat", encoding="ascii") as f:
        v = f.read().split()
    return int(v[0]) + int(v[4])


def busy():
    """Seconds that all of this machine was not idle, as its kernel counts."""
    with open("/proc/stat", encoding="ascii") as f:
        v = [int(x) for x in f.readline().split()[1:8]]
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def snapshot(host, pid, disk):
    vcpu, waited, device, process, now = host.times(pid)
    return {"vcpu": vcpu, "waited": waited / os.cpu_count(), "device": device, "process": process, "guest": busy(),
            "ios": ios(disk), "secs": now}


def fio(disk, load, o):
    rw, bs, depth = LOADS[load]
    argv = [*FIO, "--filename=" + disk, "--rw=" + rw, "--bs=" + bs, f"--iodepth={depth}", f"--size={SIZE}",
            f"--ramp_time={o.warmup}", f"--runtime={o.seconds + MARGIN}"]
    return subprocess.Popen(argv, env=ini.ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def report(proc, load):
    out, err = proc.communicate(timeout=60 * SCALE)
    if proc.returncode:
        raise AssertionError(f"{proc.args}: exit {proc.returncode}\n{out}{err}")
    return json.loads(out[out.index("{"):])["jobs"][0]["read" if "read" in LOADS[load][0] else "write"]


def measure(name, load, disk, host, pid, o):
    """
    I/Os and CPU times between two moments of fio's run, latencies of all of it. Time that others on the machine took
    from the virtual CPUs does not count: with one of them nothing happens in it, with more it is an estimate.
    """
    before = ios(disk)
    proc = fio(disk, load, o)
    wait_for(lambda: proc.poll() is not None or ios(disk) > before, 20 * SCALE, "fio runs")
    time.sleep(o.warmup)
    begin = snapshot(host, pid, disk)
    time.sleep(o.seconds)
    end = snapshot(host, pid, disk)
    lat = report(proc, load)["lat_ns"]
    d = {k: end[k] - begin[k] for k in end}
    secs = max(d["secs"] - d["waited"], d["vcpu"] / os.cpu_count())
    run = {"iops": d["ios"] / secs, "p99": lat["percentile"]["99.000000"] / 1000, "mean": lat["mean"] / 1000}
    for what in ("vcpu", "guest", "process", "device"):
        run["cpu_" + what] = 1e6 * d[what] / d["ios"]
    return dict(run, busy=d["vcpu"] / secs, waited=d["waited"] / d["secs"], load=load, contender=name)


def turns(o, disks, host, pid):
    for n in range(o.rounds):
        names = list(disks) if n % 2 == 0 else list(reversed(disks))
        for load in o.loads.split(","):
            host.ask(b"(")
            for name in names:
                run = measure(name, load, disks[name], host, pid, o)
                print("@run", json.dumps(run, separators=(",", ":")), flush=True)
            host.ask(b")")


def options():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rounds", type=int)
    ap.add_argument("--seconds", type=float)
    ap.add_argument("--warmup", type=float)
    ap.add_argument("--loads")
    ap.add_argument("--contenders")
    ap.add_argument("--mtu", type=int)
    ap.add_argument("--cores", default="")
    return ap.parse_args()


def main():
    o = options()
    names = o.contenders.split(",")
    ini.start()
    ini.sh("modprobe", "ib_iser")
    for dev in (_rdma.link(), "d1"):
        ini.sh("ip", "link", "set", dev, "mtu", o.mtu)
    host = Host()
    _lio.start()
    for name in (n for n in ("isert", "lio_tcp") if n in names):
        _lio.target(iqn(name), [_lio.disk(PORTS[name], SIZE)], {portal(name): name == "isert"})
    with Lab(["--cores", o.cores] if o.cores else [], portal=portal("tcp")) as lab:
        ours(lab, [n for n in ("iser", "tcp") if n in names])
        disks = {n: login(n) for n in names}
        turns(o, disks, host, lab.gateway.proc.pid)
        for n in names:
            ini.logout(iqn(n), portal(n))


main()
