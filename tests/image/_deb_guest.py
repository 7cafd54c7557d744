#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs in the guest of deb.py, as root, under systemd: the package from its installation to its purge."""
import os
import re
import signal
import subprocess
import sys
import time

from _deb_writer import Writer
from tap import case, need, run

RELEASE = sys.argv[1]
IQN = "iqn.2026-11.org.example:deb"
FILE, BLOCK, NVME = "/srv/disk", "/dev/vdc", "/dev/ng0n1"
SECS = 1800
UNITS = ("lichgated", "lichgate-mgmtd")
DROP_IN = "/etc/systemd/system/lichgated.service.d/more.conf"
NET_BIND_SERVICE = 1 << 10
# What a package manager, an initiator and a running system leave behind themselves.
OTHERS = re.compile(r"/(var/log|var/lib/(apt|dpkg|systemd|iscsi|private)|var/cache|var/tmp|etc/iscsi|root|srv)(/|$)|"
                    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|/etc/\.pwd\.lock$|/etc/ld\.so\.cache$|/etc/mtab$")
before = {}


def sh(*argv, check=True):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECS,
                       check=False)
    if check and p.returncode:
        raise AssertionError(f"{' '.join(argv)}: exit {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout + p.stderr


def refused(*argv):
    """What a command says that has to fail."""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECS, check=False)
    need(p.returncode, f"{' '.join(argv)}: exit 0")
    return (p.stdout + p.stderr).strip()


def wait_for(what, why):
    end = time.monotonic() + SECS
    while not what():
        need(time.monotonic() < end, f"not in {SECS} s: {why}")
        time.sleep(0.2)


def lgtadm(line, tool="lgtadm"):
    return sh(tool, "--lld", "iscsi", *line.split())


def show(unit, prop):
    return sh("systemctl", "show", "--value", "-p", prop, unit).strip()


def pids():
    return [int(show(u, "MainPID")) for u in UNITS]


def status(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return re.search(rf"^{field}:\s*(.*)$", f.read(), re.M).group(1).split()


def up():
    for u in UNITS:
        need(show(u, "ActiveState") == "active", sh("journalctl", "--no-pager", "-u", u, check=False))


def drop_in(text):
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="ascii") as f:
        f.write("[Service]\n" + text)
    restart()


def no_drop_in():
    os.remove(DROP_IN)
    os.rmdir(os.path.dirname(DROP_IN))
    restart()


def restart(*units):
    sh("systemctl", "daemon-reload")
    sh("systemctl", "restart", *(units or UNITS))
    up()


def disk(lun, portal="127.0.0.1:3260"):
    return f"/dev/disk/by-path/ip-{portal}-iscsi-{IQN}-lun-{lun}"


def files():
    """Every path of the root file system, and the state of the system beside it."""
    found = set()
    for top, dirs, names in os.walk("/"):
        dirs[:] = [d for d in dirs if os.path.join(top, d) not in ("/proc", "/sys", "/dev", "/run", "/tmp", "/lgt")]
        found.update(os.path.join(top, n) for n in dirs + names)
    found.update("/run/" + n for n in os.listdir("/run") if n in ("lichgate", "tgtd"))
    return {f for f in found if not OTHERS.search(f)}


def accounts():
    lines = []
    for path in ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"):
        with open(path, encoding="utf-8") as f:
            lines += f.read().splitlines()
    # libibverbs makes it and keeps it.
    return {line for line in lines if not line.startswith("rdma:")}


@case(f"{RELEASE}: apt installs the package and what it depends on, and both daemons run")
def _():
    before.update(files=files(), accounts=accounts())
    sh("apt-get", "install", "-y", "/lgt/lichgate.deb")
    up()


@case(f"{RELEASE}: the daemons are not root, and have one capability between them")
def _():
    sh("id", "lichgate")
    uid = sh("id", "-u", "lichgate").strip()
    caps = []
    for pid in pids():
        need(status(pid, "Uid") == [uid] * 4, status(pid, "Uid"))
        need(status(pid, "Seccomp") == ["2"] and status(pid, "NoNewPrivs") == ["1"], "not confined")
        caps.append(int(status(pid, "CapBnd")[0], 16) | int(status(pid, "CapEff")[0], 16))
    need(caps == [NET_BIND_SERVICE, 0], caps)


@case(f"{RELEASE}: systemd finds the services confined")
def _():
    for unit, most in zip(UNITS, (3.0, 1.0)):
        said = sh("systemd-analyze", "security", "--no-pager", unit)
        level = float(re.search(r"Overall exposure level for \S+ ([\d.]+)", said).group(1))
        print(f"exposure of {unit}: {level}")
        need(level <= most, said)


@case(f"{RELEASE}: lgtadm makes a target with a block device, tgtadm adds a file")
def _():
    lgtadm(f"--mode target --op new --tid 1 --targetname {IQN}")
    lgtadm(f"--mode logicalunit --op new --tid 1 --lun 1 --backing-store {BLOCK}")
    with open(FILE, "wb") as f:
        f.truncate(64 << 20)
    sh("chown", "lichgate:", FILE)
    lgtadm(f"--mode logicalunit --op new --tid 1 --lun 2 --backing-store {FILE}", "/lgt/tgtadm")
    lgtadm("--mode target --op bind --tid 1 --initiator-address ALL", "/lgt/tgtadm")
    listing = lgtadm("--mode target --op show", "/lgt/tgtadm")
    need(IQN in listing and BLOCK in listing and FILE in listing, listing)


@case(f"{RELEASE}: nobody but root and the daemons' user may manage")
def _():
    sh("runuser", "-u", "lichgate", "--", "lgtadm", "--mode", "target", "--op", "show")
    refused("runuser", "-u", "nobody", "--", "lgtadm", "--mode", "target", "--op", "show")


@case(f"{RELEASE}: root's file is refused in one sentence, and served with a drop-in")
def _():
    path = "/srv/roots"
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    os.chmod(path, 0o600)
    listing = lgtadm("--mode target --op show")
    argv = ["lgtadm", "--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "3", "--backing-store", path]
    said = refused(*argv)
    need(path in said and "Permission denied for the gateway's user lichgate" in said and "\n" not in said, said)
    need(lgtadm("--mode target --op show") == listing, "something has changed")
    drop_in("AmbientCapabilities=CAP_DAC_OVERRIDE\nCapabilityBoundingSet=CAP_DAC_OVERRIDE\n")
    sh(*argv)
    lgtadm("--mode logicalunit --op delete --tid 1 --lun 3")
    no_drop_in()
    sh("chgrp", "lichgate", path)
    os.chmod(path, 0o660)
    sh(*argv)
    lgtadm("--mode logicalunit --op delete --tid 1 --lun 3")


@case(f"{RELEASE}: commands to an NVMe namespace: by group disk, before Linux 6.2 with a drop-in")
def _():
    argv = ["lgtadm", "--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "3", "--bstype", "nvme",
            "--backing-store", NVME]
    old = tuple(map(int, os.uname().release.split(".")[:2])) < (6, 2)
    if old:
        need("CAP_SYS_ADMIN" in refused(*argv), "another reason")
        drop_in("AmbientCapabilities=CAP_SYS_ADMIN\nCapabilityBoundingSet=CAP_SYS_ADMIN\n")
    sh(*argv)
    lgtadm("--mode logicalunit --op delete --tid 1 --lun 3")
    if old:
        no_drop_in()


@case(f"{RELEASE}: iSCSI's system port")
def _():
    lgtadm("--mode portal --op new --param portal=127.0.0.1:860")
    lgtadm("--mode portal --op delete --param portal=127.0.0.1:860")


def written(path):
    """Some blocks of the disk, once it is there."""
    wait_for(lambda: os.path.exists(path), f"{path} appears")
    writer = Writer(path)
    try:
        wait_for(lambda: writer.error or writer.count > 20, "blocks are written")
    finally:
        writer.end()


@case(f"{RELEASE}: an initiator logs in, writes and reads back")
def _():
    sh("systemctl", "start", "iscsid")
    sh("iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", "127.0.0.1")
    sh("iscsiadm", "-m", "node", "-T", IQN, "-p", "127.0.0.1", "--login")
    for lun in (1, 2):
        written(disk(lun))


@case(f"{RELEASE}: iSER on a soft RoCE device that came after the gateway")
def _():
    for module in ("veth", "rdma_rxe", "rdma_ucm", "ib_iser"):
        sh("modprobe", module)
    sh("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
    sh("ip", "addr", "add", "10.0.0.1/24", "dev", "d0")
    for net in ("d0", "d1"):
        sh("ip", "link", "set", net, "up")
    sh("rdma", "link", "add", "rxe0", "type", "rxe", "netdev", "d0")
    wait_for(lambda: "state ACTIVE" in sh("rdma", "link") and os.path.exists("/dev/infiniband/rdma_cm"), "RDMA is there")
    iser = "portal=10.0.0.1:3260,transport=iser"
    lgtadm(f"--mode portal --op new --param {iser}")
    sh("iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", "10.0.0.1", "-I", "iser")
    node = ("iscsiadm", "-m", "node", "-T", IQN, "-p", "10.0.0.1", "-I", "iser")
    sh(*node, "--login")
    written(disk(1, "10.0.0.1:3260"))
    need("iser: [" in sh("iscsiadm", "-m", "session"), "the session is not over iSER")
    sh(*node, "--logout")
    sh(*node, "--op", "delete")
    lgtadm(f"--mode portal --op delete --param {iser}")


def through(what):
    """Verified writes to both disks, before, during and after."""
    writers = [Writer(disk(lun)) for lun in (1, 2)]
    try:
        for phase in (lambda: None, what):
            phase()
            at = [w.count for w in writers]
            wait_for(lambda at=at: all(w.error or w.count > n + 20 for w, n in zip(writers, at)), "writes go on")
    finally:
        print("blocks written:", [w.end() for w in writers])


@case(f"{RELEASE}: a restart of both daemons under load: the session comes back, no write is lost")
def _():
    through(restart)


@case(f"{RELEASE}: state of an earlier version, which ran as root, is taken over")
def _():
    def take_over():
        sh("systemctl", "stop", *UNITS)
        sh("chown", "-R", "root:root", "/var/lib/lichgate", "/run/lichgate", "/run/tgtd")
        restart()

    through(take_over)
    need(not sh("find", "/var/lib/lichgate", "/run/lichgate", "/run/tgtd", "!", "-user", "lichgate"), "files of somebody else")
    need(sh("stat", "-c", "%a", "/var/lib/lichgate").strip() == "700", "others may look")


@case(f"{RELEASE}: a management daemon that stands still is restarted")
def _():
    unit = UNITS[1]
    where = DROP_IN.replace(UNITS[0], unit)
    os.makedirs(os.path.dirname(where))
    with open(where, "w", encoding="ascii") as f:
        f.write("[Service]\nWatchdogSec=20\n")
    restart(unit)
    pid, told = int(show(unit, "MainPID")), show(unit, "WatchdogTimestampMonotonic")
    wait_for(lambda: show(unit, "WatchdogTimestampMonotonic") != told, "it says that all is well")
    need(int(show(unit, "MainPID")) == pid, "restarted without a reason")
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: show(unit, "NRestarts") == "1" and show(unit, "ActiveState") == "active", "the watchdog bites")
    need(IQN in lgtadm("--mode target --op show"), "the configuration is gone")
    os.remove(where)
    os.rmdir(os.path.dirname(where))
    restart(unit)


@case(f"{RELEASE}: an upgrade under load: the session comes back, no write is lost")
def _():
    old = pids()
    through(lambda: sh("apt-get", "install", "-y", "/lgt/lichgate+1.deb"))
    need(sh("dpkg-query", "-W", "-f", "${Version}", "lichgate").endswith("+1"), "the old version")
    need(not set(old) & set(pids()), "the old daemons run")
    up()


@case(f"{RELEASE}: removed and installed again, it has its configuration")
def _():
    sh("iscsiadm", "-m", "node", "-T", IQN, "--logout")
    listing = lgtadm("--mode target --op show")
    sh("apt-get", "remove", "-y", "lichgate")
    need(not os.path.exists("/run/lichgate") and not os.path.exists("/usr/sbin/lichgated"), "something is left")
    need(os.path.exists("/var/lib/lichgate/config.db"), "the configuration is gone")
    sh("apt-get", "install", "-y", "/lgt/lichgate+1.deb")
    up()
    wait_for(lambda: lgtadm("--mode target --op show") == listing, "the same listing as before")


@case(f"{RELEASE}: a purge leaves nothing behind")
def _():
    sh("apt-get", "purge", "-y", "lichgate")
    sh("apt-get", "autoremove", "--purge", "-y")
    left = sorted(files() ^ before["files"])
    need(not left, "\n".join(left))
    need(accounts() == before["accounts"], accounts() ^ before["accounts"])
    lists = sh("systemctl", "list-units", "--all", "--no-pager") + sh("systemctl", "list-unit-files", "--no-pager")
    need("lichgate" not in lists, lists)
    need("lichgate" not in sh("find", "/var/lib/systemd", "/etc", "/run/systemd/system"), "traces of the units")


@case(f"{RELEASE}: beside a tgt that serves it is not started, and the words that it says change over")
def _():
    sh("apt-get", "install", "-y", "tgt")
    lgtadm(f"--mode target --op new --tid 1 --targetname {IQN}", "tgtadm")
    said = sh("apt-get", "install", "-y", "/lgt/lichgate.deb")
    need(show("tgt", "ActiveState") == "active" and IQN in lgtadm("--mode target --op show", "tgtadm"), "tgt was stopped")
    for unit in UNITS:
        now = show(unit, "ActiveState"), show(unit, "UnitFileState")
        need(now == ("inactive", "disabled"), f"{unit} is {now}")
    words = re.search("to change over: (.*)", said)
    need(words, said)
    sh("sh", "-c", words.group(1))
    up()
    need(show("tgt", "ActiveState") == "inactive" and IQN not in lgtadm("--mode target --op show"), "tgt still answers")


sys.exit(1 if run() else 0)
