# SPDX-License-Identifier: BSD-3-Clause
"""An iSER initiator on a host of its own: data that travels, and a cable and a gateway that fail."""
import os
import time
import types
import xmlrpc.client

import _initiator as ini
import _iser
import _rdma
from lab import SCALE, wait_for
from tap import case, need, run

NET, ADDRESS, FAR_MAC = "eth0", "10.0.0.2", "52:54:00:00:00:01"


def unplugged(secs):
    """The carrier goes and comes. (An rxe of Linux 6.1 on a device that is set down can make no connection any more.)"""
    print("@cable out", flush=True)
    wait_for(lambda: not carrier(), 10 * SCALE, "the carrier is gone")
    time.sleep(secs)
    print("@cable in", flush=True)
    wait_for(carrier, 10 * SCALE, "the carrier is back")


def carrier():
    return ini.text_of(f"/sys/class/net/{NET}/carrier") == "1"


def held():
    """What the far kernel holds. A core's completion queue is made with its first connection."""
    return {name: n for name, n in FAR.resources().items() if name != "cq"}


def patient(disk):
    """No command is aborted while there is no connection: ib_iser of Linux 6.1 does not survive that."""
    with open(f"/sys/block/{os.path.basename(disk)}/device/timeout", "w", encoding="ascii") as f:
        f.write("600")
    return disk


@case("discovery, login and verified data between two hosts, and the data again after another login")
def _(lab):
    found = ini.discover(lab.iser, "iser")
    need(all(lab.iqn(t) in found for t in (1, 2)), found)
    for more in ((), ("--verify_only",)):
        disk = _iser.login(lab, 1)
        for size, depth, amount, at in (("512", 8, "96k", 0), ("4k", 16, "2m", "8m"), ("64k", 8, "8m", "16m"),
                                        ("1m", 4, "16m", "32m")):
            _iser.fio(disk, f"--bs={size}", f"--iodepth={depth}", f"--size={amount}", f"--offset={at}", *more)
        need(FAR.sessions() == 1, "not one session")
        _iser.logout(lab, 1)
    need(not ini.kernel_said(r"I/O error"), ini.sh("dmesg")[-2000:])


@case("the cable is out during verified writes, shortly and for long: I/O goes on without an error")
def _(lab):
    disk = patient(_iser.login(lab, 1))
    _iser.during(disk, lambda: unplugged(1), 1)
    _iser.during(disk, lambda: unplugged(20), 1)
    wait_for(lambda: FAR.sessions() == 1, 60 * SCALE, "one session only")


@case("kill -9 of the far gateway during verified writes: I/O goes on without an error")
def _(lab):
    _iser.during(ini.disk_of(lab.iqn(1)), FAR.kill)
    _iser.logout(lab, 1)
    need(FAR.sessions() == 0, "a session is left")


@case("an initiator that falls silent is let go")
def _(lab):
    before = held()
    patient(_iser.login(lab, 2))
    FAR.watch()
    unplugged(40)
    gone = wait_for(FAR.when_gone, 60 * SCALE, "the session has gone")
    need(gone < 40, f"it went {gone} s after the cable")
    # The initiator comes back by itself.
    wait_for(lambda: FAR.sessions() == 1, 60 * SCALE, "the session is back")
    _iser.fio(ini.disk_of(lab.iqn(2)), "--size=1m", "--bs=4k")
    _iser.logout(lab, 2)
    wait_for(lambda: held() == before, 20 * SCALE, f"{before} again; it is {held()}")


ini.start(_iser.MODULE, ["virtio_net"])
_rdma.link(NET, ADDRESS)
# When Linux loses its neighbour it ends ib_iser's connection behind the back of iSCSI, and I/O fails at once.
ini.sh("ip", "neigh", "replace", _rdma.ADDRESS, "lladdr", FAR_MAC, "nud", "permanent", "dev", NET)
FAR = xmlrpc.client.ServerProxy(f"http://{_rdma.ADDRESS}:8000")


def far_ready():
    try:
        return FAR.iqn(1)
    except OSError:
        return None


wait_for(far_ready, 60 * SCALE, "the other guest answers")
failed = run(types.SimpleNamespace(iqn=FAR.iqn, iser=f"{_rdma.ADDRESS}:3260", show_logs=lambda: print(FAR.log())))
ini.sh("iscsiadm", "-m", "node", "--logout", check=False)
FAR.end()
raise SystemExit(failed)
