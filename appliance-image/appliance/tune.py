# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance tune: who runs on which core, and how much memory the gateway gets, from what the machine has.

Four cores and more are split: a quarter, the first ones, takes the interrupts and the protocol work of the network cards,
the others are the gateway's. Below that all share all. The gateway's buffers are a sixteenth of the memory, in huge pages.
"""
import os
import re

from . import Refused, paths

CPUS = paths.at("/sys/devices/system/cpu/online")
MEMINFO = paths.at("/proc/meminfo")
HUGE_PAGES = paths.at("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
IRQ = paths.at("/proc/irq")
NET = paths.at("/sys/class/net")
# Read by lichgated.service.
ENV = paths.at("/run/lichgate-tune.env")
# The cores of the network, for cards that come later.
NET_CPUS = paths.at("/run/lichgate-tune.net")

SPLIT_FROM = 4
NETWORK_SHARE = 4
NETWORK_MAX = 8
MEMORY_SHARE = 16
# MiB of each core. Less than that is no ring of receive buffers; more has no use.
BUF_MB = (16, 512)
HUGE_PAGE_MB = 2


def add_arguments(parser):
    parser.add_argument("--network-cores", type=int, metavar="N",
                        help="cores for interrupts and the network; 0: all cores do all (default: a quarter of four and more)")
    parser.add_argument("--buf-mb", type=int, metavar="N",
                        help="MiB of I/O buffers for each core of the gateway (default: by the memory)")
    parser.add_argument("--show", action="store_true", help="say what would be set, change nothing")
    parser.add_argument("--interface", metavar="IFNAME", help="this network card alone, as the last run decided")


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def write(path, text):
    """For files of the kernel, which takes a value or does not."""
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def place(path, cpus):
    """As far as the kernel lets anybody: some interrupts are its own to place, some queues know only one core."""
    try:
        write(path, cpus)
    except OSError as e:
        print(f"{path} stays as it is: {e.strerror}")


def cpu_list(text):
    """[0, 2, 3] of "0,2-3"."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def ranges(cpus):
    """"0,2-3" of [0, 2, 3]."""
    runs = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def mask(cpus):
    """As the kernel spells sets of CPUs: words of 32 bits, the highest first."""
    bits = sum(1 << cpu for cpu in cpus)
    words = [f"{bits >> shift & 0xffffffff:08x}" for shift in range(0, max(bits.bit_length(), 1), 32)]
    return ",".join(reversed(words))


def memory_mb():
    return int(re.search(r"^MemTotal:\s+(\d+) kB", read(MEMINFO), re.M).group(1)) // 1024


def plan(cpus, mb, network_cores=None, buf_mb=None):
    """What to set, as a dictionary; "network" is empty if all cores do all."""
    if network_cores is None:
        network_cores = min(len(cpus) // NETWORK_SHARE, NETWORK_MAX) if len(cpus) >= SPLIT_FROM else 0
    if not 0 <= network_cores < len(cpus):
        raise Refused(f"of {len(cpus)} cores, 0 to {len(cpus) - 1} can be the network's")
    gateway = cpus[network_cores:]
    if buf_mb is None:
        buf_mb = BUF_MB[0]
        while buf_mb < BUF_MB[1] and 2 * buf_mb * len(gateway) <= mb // MEMORY_SHARE:
            buf_mb *= 2
    if buf_mb < 1 or buf_mb * len(gateway) > mb // 2:
        raise Refused(f"{len(gateway)} cores with {buf_mb} MiB each do not fit into half of the memory, {mb // 2} MiB")
    return {"network": cpus[:network_cores], "gateway": gateway, "buf_mb": buf_mb,
            "huge_pages": -(-buf_mb // HUGE_PAGE_MB) * len(gateway)}


def set_huge_pages(wanted):
    """All of them or none: the gateway takes one region, and pages that are too few are lost to everybody."""
    try:
        write(HUGE_PAGES, str(wanted))
        got = int(read(HUGE_PAGES))
        if got < wanted:
            write(HUGE_PAGES, "0")
        return got
    except OSError:
        return 0


def interrupts(interface):
    """Of the card behind an interface; below virtio the PCI device has them."""
    at = os.path.realpath(os.path.join(NET, interface, "device"))
    while len(at) > len(paths.SYS):
        if os.path.isdir(os.path.join(at, "msi_irqs")):
            return sorted(int(name) for name in os.listdir(os.path.join(at, "msi_irqs")))
        at = os.path.dirname(at)
    return []


def tune_interface(interface, cpus):
    """One interrupt a core, round and round; where a card has fewer queues than there are cores, software spreads them."""
    for n, irq in enumerate(interrupts(interface)):
        place(os.path.join(IRQ, str(irq), "smp_affinity_list"), str(cpus[n % len(cpus)]))
    queues = os.path.join(NET, interface, "queues")
    receive = [q for q in os.listdir(queues) if q.startswith("rx-")] if os.path.isdir(queues) else []
    if len(receive) < len(cpus):
        for queue in receive:
            place(os.path.join(queues, queue, "rps_cpus"), mask(cpus))


def cards():
    return sorted(name for name in os.listdir(NET) if os.path.exists(os.path.join(NET, name, "device")))


def apply(want):
    got = set_huge_pages(want["huge_pages"])
    if got < want["huge_pages"]:
        print(f"only {got} of {want['huge_pages']} huge pages are to be had: the gateway goes without")
    args = f"--buf-mb {want['buf_mb']}"
    if want["network"]:
        args = f"--cores {ranges(want['gateway'])} {args}"
        write(NET_CPUS, ranges(want["network"]) + "\n")
        place(os.path.join(IRQ, "default_smp_affinity"), mask(want["network"]))
        for interface in cards():
            tune_interface(interface, want["network"])
    elif os.path.exists(NET_CPUS):
        os.unlink(NET_CPUS)
    write(ENV, f"LICHGATED_ARGS={args}\n")


def run(args):
    if args.interface:
        # By name, or by its place in /sys, as udev has it.
        interface = os.path.basename(args.interface)
        if interface not in cards():
            raise Refused(f"there is no network card {interface}")
        if os.path.exists(NET_CPUS):
            tune_interface(interface, cpu_list(read(NET_CPUS)))
        return 0
    want = plan(cpu_list(read(CPUS)), memory_mb(), args.network_cores, args.buf_mb)
    if not args.show:
        apply(want)
    print(f"gateway: cores {ranges(want['gateway'])}, {want['buf_mb']} MiB of buffers each, {want['huge_pages']} huge pages; "
          f"network: {'cores ' + ranges(want['network']) if want['network'] else 'all cores'}")
    return 0
