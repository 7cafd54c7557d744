# SPDX-License-Identifier: BSD-3-Clause
"""A gateway that serves its targets over TCP and iSER on a soft RoCE device of this guest."""
import contextlib
import json
import os
import subprocess
import time

import _initiator as ini
import _lio
import _rdma
from lab import IQN, SCALE, Lab, bytes_of, wait_for
from tap import need

# LGT_LAB=lio: the kernel's target in the gateway's place, for a look at the reference.
REFERENCE = os.environ.get("LGT_LAB") == "lio"
FIO = ["fio", "--ioengine=libaio", "--direct=1", "--verify=crc32c", "--verify_fatal=1", "--randseed=7",
       "--output-format=terse"]
# So that a block of 1 MiB may travel in one command.
MODULE = ["ib_iser", "max_sectors=2048"]


class Reference:
    """What the tests ask of a Lab, done by LIO; it has no iSER on a port that has TCP."""
    portal, iser = f"{_rdma.ADDRESS}:3260", f"{_rdma.ADDRESS}:3261"
    chap = {}

    def __enter__(self):
        _lio.start()
        self.count = 0
        return self

    def __exit__(self, *_):
        _lio.stop()

    def target(self, tid):
        _lio.target(self.iqn(tid), [], {self.portal: False, self.iser: True})

    def lun(self, tid, lun, size):
        self.count += 1
        disk = _lio.disk(self.count, size)
        os.symlink(disk, os.path.join(_lio.make("iscsi", self.iqn(tid), "tpgt_1/lun", f"lun_{lun}"), "disk"))

    def file(self, _name, size):
        return bytes_of(size)

    def account(self, user, password, tid, outgoing=False):
        group, end = _lio.make("iscsi", self.iqn(tid), "tpgt_1"), "_mutual" if outgoing else ""
        _lio.put(f"{group}/auth/userid{end}", user)
        _lio.put(f"{group}/auth/password{end}", password)
        _lio.put(group + "/attrib/authentication", 1)

    def iqn(self, tid=1):
        return f"{IQN}{tid}"

    def show_logs(self):
        pass


@contextlib.contextmanager
def gateway(*args, net=None):
    """The lab whose .portal is TCP's and whose .iser is iSER's; args are the gateway's."""
    _rdma.link(net)
    with Reference() if REFERENCE else Lab(gateway_args=args, portal=f"{_rdma.ADDRESS}:3260") as lab:
        if not REFERENCE:
            lab.iser = lab.portal
            lab.op("portal", "new", "--param", f"portal={lab.iser},transport=iser")
        try:
            yield lab
        finally:
            ini.sh("iscsiadm", "-m", "node", "--logout", check=False)


def add(lab, tid, size):
    lab.target(tid)
    lab.lun(tid, 1, lab.file(f"disk{tid}", size))


def login(lab, tid, iface="iser"):
    """Returns the disk, which must be one of that transport."""
    portal = lab.iser if iface == "iser" else lab.portal
    disk = ini.login(lab.iqn(tid), portal, iface)
    transport = "iser" if iface == "iser" else "tcp"
    need(transport + ":" in ini.sh("iscsiadm", "-m", "session"), f"no session over {transport}")
    return disk


def logout(lab, tid, iface="iser"):
    ini.logout(lab.iqn(tid), lab.iser if iface == "iser" else lab.portal, iface)


def fio(disk, *args, secs=120):
    return ini.sh(*FIO, "--name=v", "--rw=randwrite", f"--filename={disk}", *args, timeout=secs)


def fio_start(disk, *args):
    return subprocess.Popen([*FIO, "--name=v", "--rw=randwrite", f"--filename={disk}", *args], env=ini.ENV,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def during(disk, what, turns=2):
    """Calls what, some times, while fio writes, and has fio verify all of it."""
    # Not faster, so that it lasts: twelve seconds at the least.
    writes = fio_start(disk, "--size=24m", "--bs=4k", "--iodepth=16", "--rate_iops=500")
    for _turn in range(turns):
        time.sleep(3)
        need(writes.poll() is None, "fio ended before anything happened")
        what()
    out, _ = writes.communicate(timeout=100 * SCALE)
    need(writes.returncode == 0, out + ini.sh("dmesg")[-4000:])


def sessions(lab):
    """The gateway's rows of its sessions, of all targets."""
    return [row for target in json.loads(lab.op("target", "show", "--json"))["targets"] for row in target["sessions"]]


def quiet_resources():
    """The kernel's counts once they have stood still: what is torn down goes a moment after the command that ends it."""
    last = [None]

    def still():
        now = _rdma.resources()
        same, last[0] = now == last[0], now
        ini.sh("sleep", "0.5")
        return now if same else None
    return wait_for(still, 20 * SCALE, "the RDMA resources stand still")
