#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""tune on a directory with a /sys and a /proc of its own: cores, memory, interrupts."""
import os

import _root
from _root import ROOT, command, get, path, put
from tap import case, need, run
from appliance import Refused, tune  # noqa: E402


def refused(func, *args):
    try:
        func(*args)
    except Refused as why:
        return str(why)
    raise AssertionError(f"{args} was not refused")


def text(name):
    return get(name).decode()


@case("sets of CPUs are read and written as the kernel spells them")
def _():
    need(tune.cpu_list("0,2-4,7") == [0, 2, 3, 4, 7])
    need(tune.ranges([0, 2, 3, 4, 7]) == "0,2-4,7")
    need(tune.mask([0, 1]) == "00000003" and tune.mask([0, 33]) == "00000002,00000001")


@case("cores are split from four on, memory is shared out, and what cannot be is refused")
def _():
    def plan(cpus, mb, *more):
        p = tune.plan(list(range(cpus)), mb, *more)
        return len(p["network"]), len(p["gateway"]), p["buf_mb"], p["huge_pages"]
    need(plan(1, 1024) == (0, 1, 64, 32), plan(1, 1024))
    need(plan(2, 2048) == (0, 2, 64, 64), plan(2, 2048))
    need(plan(2, 256) == (0, 2, 16, 16), "never less than a ring of receive buffers")
    need(plan(4, 8192) == (1, 3, 128, 192), plan(4, 8192))
    need(plan(64, 1 << 20) == (8, 56, 512, 56 * 256), plan(64, 1 << 20))
    need(plan(4, 8192, 0, 33) == (0, 4, 33, 4 * 17), "an odd number of MiB is rounded up to whole pages")
    need("4 cores" in refused(tune.plan, [0, 1, 2, 3], 8192, 4))
    need("half of the memory" in refused(tune.plan, [0, 1], 1024, None, 512))


def machine(cpus="0-7"):
    _root.empty()
    put("/sys/devices/system/cpu/online", cpus + "\n")
    put("/proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB\n")
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n")
    put("/proc/irq/default_smp_affinity", "ff\n")
    # A card whose interrupts belong to the PCI device two levels up, as virtio's do, and one without a device.
    pci = "/sys/devices/pci0000:00/0000:00:03.0"
    for irq in (24, 25, 26):
        put(f"{pci}/msi_irqs/{irq}", "msix\n")
        put(f"/proc/irq/{irq}/smp_affinity_list", "0-7\n")
    put(f"{pci}/virtio0/net/eth0/queues/rx-0/rps_cpus", "00\n")
    os.makedirs(ROOT + "/sys/class/net/lo/queues/rx-0")
    os.symlink("../../devices/pci0000:00/0000:00:03.0/virtio0/net/eth0", ROOT + "/sys/class/net/eth0")
    os.symlink("../..", ROOT + f"{pci}/virtio0/net/eth0/device")
    os.makedirs(ROOT + "/run")


@case("tune: huge pages, interrupts, the gateway's cores; without a split the old one is taken back")
def _():
    machine()
    code, out, err = command("tune")
    need(code == 0 and "cores 2-7" in out, out + err)
    need(text("/run/lichgate-tune.env") == "LICHGATED_ARGS=--cores 2-7 --buf-mb 128\n", text("/run/lichgate-tune.env"))
    need(text("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages") == "384")
    need([text(f"/proc/irq/{n}/smp_affinity_list") for n in (24, 25, 26)] == ["0", "1", "0"])
    need(text("/proc/irq/default_smp_affinity") == "00000003")
    need(text("/sys/class/net/eth0/queues/rx-0/rps_cpus") == "00000003")
    put("/proc/irq/24/smp_affinity_list", "0-7\n")
    code, _, err = command("tune", "--interface", "/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0")
    need(code == 0 and text("/proc/irq/24/smp_affinity_list") == "0", err)
    need(command("tune", "--network-cores", "0")[0] == 0)
    need(text("/run/lichgate-tune.env") == "LICHGATED_ARGS=--buf-mb 64\n", text("/run/lichgate-tune.env"))
    need(not os.path.exists(ROOT + "/run/lichgate-tune.net"))


@case("huge pages: all that are wanted or none, and without any the gateway is still told its cores")
def _():
    machine()
    pages, keep = [], tune.write
    # A kernel that finds 300 of them.
    tune.write = lambda name, text: (pages.append(int(text)), keep(name, str(min(int(text), 300)))) \
        if name == tune.HUGE_PAGES else keep(name, text)
    try:
        code, out, _ = command("tune")
    finally:
        tune.write = keep
    need(code == 0 and pages == [384, 0] and "only 300 of 384" in out, f"{pages} {out}")
    os.unlink(path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"))
    os.rmdir(path("/sys/kernel/mm/hugepages/hugepages-2048kB"))
    need(command("tune")[0] == 0 and "--cores 2-7" in text("/run/lichgate-tune.env"))


@case("an interrupt that is the kernel's own to place stops nothing")
def _():
    machine()
    # Opening a directory for writing fails for root, too.
    for name in ("proc/irq/24/smp_affinity_list", "sys/class/net/eth0/queues/rx-0/rps_cpus"):
        os.unlink(path(name))
        os.mkdir(path(name))
    code, out, err = command("tune")
    need(code == 0 and out.count("stays as it is") == 2, out + err)
    need(text("/proc/irq/25/smp_affinity_list") == "1" and "--cores 2-7" in text("/run/lichgate-tune.env"))


@case("tune: what is wrong is one sentence and changes nothing")
def _():
    machine()
    for args in (["--network-cores", "8"], ["--buf-mb", "0"], ["--interface", "eth9"]):
        code, _, err = command("tune", *args)
        need(code == 1 and len(err.splitlines()) == 1, err)
    need(not os.path.exists(ROOT + "/run/lichgate-tune.env"))
    need(command("tune", "--show")[0] == 0 and not os.path.exists(ROOT + "/run/lichgate-tune.env"))



raise SystemExit(run())
