# SPDX-License-Identifier: BSD-3-Clause
"""
Linux multipath over two portals of two groups. The one that carries verified writes is cut and restored, in two ways:
its packets vanish, as with a cable; and it refuses, as a machine does that is up before its gateway.

Whose time a path's return is: the gateway takes a login at once, even if it believes the old session alive. open-iscsi
tries again 3 s after a refusal and looks once a second whether it is connected; without an answer it is TCP that asks
again, after 1, 2, 4, 8 s. multipathd looks at a failed path each 5 s, or as polling_interval says.
"""
import datetime
import glob
import importlib.util
import os
import re
import subprocess
import threading
import time

import _initiator as ini
from lab import SCALE, Lab, wait_for
from tap import case, need, run

SIZE = 256 << 20
TWO = "127.0.0.2"
DAEMON_LOG = open("/tmp/multipathd.log", "w", encoding="ascii")  # pylint: disable=consider-using-with
LOAD_MIB = 8
FIO = ["fio", "--name=v", "--rw=randwrite", "--bs=4k", f"--size={LOAD_MIB}M", "--ioengine=libaio", "--iodepth=8", "--direct=1",
       "--verify=crc32c", "--verify_fatal=1", "--group_reporting", "--output-format=terse"]
BEYOND_LOAD = LOAD_MIB << 11
VANISH = "ip daddr {} tcp dport {} drop", "ip saddr {} tcp sport {} drop"
REFUSE = ("ip daddr {} tcp dport {} reject with tcp reset",)
LOGIN_SECS = 5  # for the gateway alone, under the emulator as well
SCALED = f", {SCALE} times as long where it is emulated" if SCALE > 1 else ""

_spec = importlib.util.spec_from_file_location("wire", os.path.join(os.path.dirname(__file__), "../proto/_initiator.py"))
wire = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wire)


def sd():
    return sorted("/dev/" + os.path.basename(p) for p in glob.glob("/sys/block/sd*"))


def topology():
    return ini.sh("multipath", "-ll", check=False)


def the_map():
    found = [p for p in glob.glob("/dev/mapper/*") if not p.endswith("control")]
    return found[0] if found else None


def status():
    return ini.sh("dmsetup", "status", "--target", "multipath")


def paths():
    """The kernel's opinion of each path: A or F, in one word."""
    return "".join(sorted(re.findall(r"\d+:\d+ ([AF])\b", status())))


def busy_portal():
    """The address that the map's writes go to: that of the only path in the active group."""
    disk = re.search(r" A \d+ 1 \d+ (\d+:\d+) A\b", status())
    need(disk, status())
    session = os.path.realpath(f"/sys/dev/block/{disk[1]}/device/../..")
    return ini.text_of(glob.glob(session + "/connection*/iscsi_connection/*/persistent_address")[0])


class Load:
    """Verified writes to the map, again and again until it is asked for the outcome."""

    def __enter__(self):
        self.end, self.failed, self.rounds = threading.Event(), [], 0
        self.thread = threading.Thread(target=self.go)
        self.thread.start()
        return self

    def go(self):
        while not self.end.is_set() and not self.failed:
            p = subprocess.run([*FIO, f"--randseed={self.rounds}", "--filename=" + the_map()], env=ini.ENV, capture_output=True,
                               stdin=subprocess.DEVNULL, text=True, check=False)
            if p.returncode:
                self.failed.append(p.stdout + p.stderr)
            self.rounds += 1

    def __exit__(self, *exc):
        self.end.set()
        self.thread.join()
        need(not self.failed, self.failed)
        need(not ini.kernel_said(r"Buffer I/O error|I/O error, dev dm-"), ini.sh("dmesg")[-2000:])


class Ghost:
    """An initiator that is cut off in the middle of a write and comes back: the same port, another connection."""

    def __init__(self, lab, host):
        self.lab, self.addr = lab, (host, lab.port)
        self.old = wire.attach(self.addr, lab.iqn(1))
        self.old.command(wire.write10(BEYOND_LOAD, 8), write=8 * 512)
        need(self.old.recv().opcode == wire.R2T, "no R2T")

    def back(self):
        """How long it takes the gateway."""
        begun = time.monotonic()
        with wire.attach(self.addr, self.lab.iqn(1)) as new:
            took = time.monotonic() - begun
            need(new.read_blocks(BEYOND_LOAD, 8)[1] == bytes(8 * 512), "half a write is on the medium")
        self.old.close()
        return took


def opened(lab):
    """When the gateway opened its last session with Linux."""
    with open(lab.gateway.log, encoding="ascii") as f:
        found = re.findall(r"^(\S+ \S+) .*session opened:.* initiator=iqn\.2026-11\.org\.example:guest ", f.read(), re.M)
    return datetime.datetime.strptime(found[-1], "%Y-%m-%d %H:%M:%S.%f").timestamp()


def cut_and_restore(lab, rules):
    """Seconds from the portal's return to: a login by hand, Linux's own, the path."""
    with Load() as load:
        wait_for(lambda: load.rounds, 60 * SCALE, "the load runs")
        host = busy_portal()
        ghost = Ghost(lab, host)
        for rule in rules:
            ini.sh("nft", "add rule inet cut in " + rule.format(host, lab.port))
        wait_for(lambda: paths() == "AF", 90 * SCALE, "one path fails: " + topology())
        rounds = load.rounds
        wait_for(lambda: load.rounds > rounds, 60 * SCALE, "the load goes on")
        need(busy_portal() != host, "writes go to the portal that is cut")
        ini.sh("nft", "flush", "chain", "inet", "cut", "in")
        began, clock = time.monotonic(), time.time()
        by_hand = ghost.back()
        wait_for(lambda: paths() == "AA", 60 * SCALE, "the path is back: " + topology())
        path, linux = time.monotonic() - began, opened(lab) - clock
        need(linux > 0, "the path came back without a login")
    print(f"# after the portal's return the gateway took a login in {by_hand:.2f} s, Linux logged in after {linux:.1f} s, "
          f"and its path was back after {path:.1f} s")
    return by_hand, linux, path


@case("two portals of two groups are two paths of one disk without a configuration file")
def _(lab):
    iqn = lab.iqn(1)
    found = ini.discover(lab.portal)
    need(f"{lab.portal},1 " in found and f"{TWO}:{lab.port},2 " in found, found)
    ini.sh("iscsiadm", "-m", "node", "-T", iqn, "-o", "update", "-n", "node.conn[0].timeo.noop_out_timeout", "-v", 10)
    ini.sh("iscsiadm", "-m", "node", "-T", iqn, "--login")
    wait_for(lambda: len(sd()) == 2, 30 * SCALE, "two disks")
    wwid = {ini.sh("/lib/udev/scsi_id", "-g", "-u", "-d", d) for d in sd()}
    need(len(wwid) == 1, wwid)
    # Debian's default wants a disk named once before it is taken for more than one; that is no configuration file.
    for d in sd():
        ini.sh("multipath", "-a", d)
    ini.sh("multipathd", "reconfigure")
    wait_for(lambda: the_map() and paths() == "AA", 15 * SCALE, "two paths: " + topology())
    need(not os.path.exists("/etc/multipath.conf"), "there is a multipath.conf")
    need("prio=50" in topology(), topology())
    need(ini.kernel_said(r"alua: supports implicit and explicit TPGS"), ini.sh("dmesg")[-2000:])
    print("\n".join("# " + line for line in topology().splitlines()))


@case(f"packets vanish: no I/O error; a login in {LOGIN_SECS} s, the path after TCP's 8 s and multipathd's 5{SCALED}")
def _(lab):
    by_hand, linux, path = cut_and_restore(lab, VANISH)
    need(by_hand < LOGIN_SECS and linux < 10 * SCALE and path < linux + 7 * SCALE, "too late")


@case(f"a portal refuses: no I/O error; with polling_interval 1 the path is back within 5 s{SCALED}")
def _(lab):
    with open("/etc/multipath.conf", "w", encoding="ascii") as f:
        f.write("defaults {\n\tpolling_interval 1\n}\n")
    ini.sh("multipathd", "reconfigure")
    by_hand, _linux, path = cut_and_restore(lab, REFUSE)
    need(by_hand < LOGIN_SECS and path < 5 * SCALE, "too late")


@case("a grown LUN has its new size on each path and on the map")
def _(lab):
    lab.op("logicalunit", "update", "--tid", 1, "--lun", 1, "--params", f"size={2 * SIZE}")
    ini.sh("iscsiadm", "-m", "session", "-R")
    for d in sd():
        wait_for(lambda d=d: ini.size_of(d) == 2 * SIZE, 20 * SCALE, f"{d} grows")
    ini.sh("multipathd", "resize", "map", os.path.basename(the_map()))
    sizes = ini.sh("lsblk", "-b", "-n", "-d", "-o", "SIZE", *sd(), the_map()).split()
    need(sizes == [str(2 * SIZE)] * 3, ini.sh("lsblk", "-b"))
    ini.sh("dd", "if=/dev/zero", "of=" + the_map(), "bs=4096", "count=1", f"seek={2 * SIZE // 4096 - 1}", "oflag=direct")


@case("priorities follow the access states that an initiator sets")
def _(lab):
    for state, prio in (("--standby", "prio=1 "), ("--active", "prio=10 "), ("--optimized", None)):
        ini.sh("sg_stpg", state, "--tp=2", sd()[0])
        wait_for(lambda prio=prio: prio in topology() if prio else topology().count("prio=50 ") == 2, 15 * SCALE,
                 f"{state}: {topology()}")


with Lab() as lab_:
    ini.start(["dm-multipath"], ["dm-round-robin"], ["dm-service-time"], ["scsi_dh_alua"])
    ini.sh("ip", "addr", "add", TWO + "/8", "dev", "lo", check=False)
    lab_.op("portal", "new", "--param", f"portal={TWO}:{lab_.port},tpgt=2")
    lab_.target(1)
    lab_.lun(1, 1, lab_.file("disk", SIZE))
    ini.sh("nft", "add", "table", "inet", "cut")
    ini.sh("nft", "add", "chain inet cut in { type filter hook input priority 0; }")
    ini.udev()
    subprocess.Popen(["multipathd", "-d"], env=ini.ENV, stdin=subprocess.DEVNULL, stdout=DAEMON_LOG, stderr=DAEMON_LOG)
    failed = run(lab_)
    if failed:
        print(ini.sh("tail", "-60", "/tmp/multipathd.log"))
    # The guest would wait long for disks that have gone.
    ini.sh("multipath", "-F", check=False)
    ini.sh("iscsiadm", "-m", "node", "--logout", check=False)
raise SystemExit(failed)
