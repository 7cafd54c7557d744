#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=10800
"""
An appliance and an initiator, a cable between two machines: open-iscsi over TCP and over iSER lives through a power cut
and an update of the appliance. _pair_guest.py runs in the second guest.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xmlrpc.client

from _appliance import BOOT_SECS, TOP, _guest, free_port, tool, wait_for
from _power import Forgetful
from _versions import SHELL, status, until, version_of
from tap import case, need, run

USER, PASSWORD = "host1", "a-secret-of-the-pair"
# open-iscsi's name of the way: the target that is reached by it.
TARGETS = {"default": "iqn.2026-11.org.example:tcp", "iser": "iqn.2026-11.org.example:iser"}
PORT_MAC, ADDRESS = "52:54:00:00:00:02", "10.0.0.2"
CHAP = {"user": USER, "password": PASSWORD}
SETUP = {
    "network": {"interfaces": [{"mac": PORT_MAC, "addresses": [ADDRESS + "/24"]}]},
    "options": {"soft_roce": True},
    "portals": ["0.0.0.0", {"address": ADDRESS, "transport": "iser"}],
    "targets": [{"name": iqn, "chap": CHAP, "data_disks": [f"disk{n}"]} for n, iqn in enumerate(TARGETS.values(), 1)],
}
PORTALS = [("iser", ADDRESS, None), ("tcp", "0.0.0.0", None)]
UPDATE = "/dev/disk/by-id/virtio-disk3"
AGENT = 8000
WORK_SECS = 1800


class Initiator:
    """The second guest; what it can be told to do is its agent's."""

    def __init__(self, work, cable):
        self.work, self.result = work, os.path.join(work, "result")
        port = free_port()
        self.argv = _guest.machine("1024", 1) + [
            "-drive", f"file={_guest.root_of_image()},format=raw,if=virtio,snapshot=on",
            "-drive", f"file={self.payload()},format=raw,if=virtio,readonly=on",
            "-serial", "file:" + os.path.join(work, "console"), "-serial", "file:" + self.result,
            *_guest.network(cable, 1),
            "-netdev", f"user,id=n1,hostfwd=tcp:127.0.0.1:{port}-:{AGENT}", "-device", "virtio-net-pci,netdev=n1",
            "-append", "console=ttyS0 root=/dev/vda rw panic=-1 quiet no_timer_check init=/usr/local/sbin/guest-init"]
        self.agent = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}", allow_none=True)
        self.proc = None

    def payload(self):
        root = os.path.join(self.work, "payload")
        shutil.copytree(os.path.join(TOP, "tests/vm/guest"), root, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("lib/lab.py", "lib/tap.py", "image/_pair_guest.py"):
            shutil.copy(os.path.join(TOP, "tests", name), root)
        with open(os.path.join(root, "init"), "w", encoding="ascii") as f:
            f.write(f"export PYTHONDONTWRITEBYTECODE=1 LGT_SCALE={1 if _guest.accel() == 'kvm' else 6}\n"
                    "ip link set lo up\n"
                    "python3 /lgt/_pair_guest.py >/dev/ttyS1 2>&1\n")
        disk = os.path.join(self.work, "payload.img")
        tool("mke2fs", "-q", "-t", "ext4", "-d", root, disk, "16M")
        return disk

    def start(self):
        with open(os.path.join(self.work, "qemu.log"), "wb") as log:
            self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_ready(self):
        def ready():
            need(self.proc.poll() is None, "the second guest ended while it was booting")
            try:
                return self.agent.sh("true") == ""
            except (OSError, xmlrpc.client.ProtocolError):
                return False
        wait_for(ready, BOOT_SECS, "the second guest answers")

    def __getattr__(self, name):
        return getattr(self.agent, name)

    def end(self):
        self.proc.kill()
        self.proc.wait()

    def show_logs(self):
        for name in ("console", "result", "qemu.log"):
            with open(os.path.join(self.work, name), encoding="utf-8", errors="replace") as f:
                print("".join(f"[second guest's {name}] {line}" for line in f.read().splitlines(True)[-60:]))


def attached(far):
    return [far.attach(iqn, iface, USER, PASSWORD) for iface, iqn in TARGETS.items()]


def configuration(box):
    """What an administrator made, identities that initiators go by included."""
    targets = json.loads(box.sh("lgtadm --json -m target -o show"))["targets"]
    keys = ("lun", "path", "size", "naa", "scsi_id", "serial", "online", "trouble")
    return [[t["tid"], t["iqn"], t["in"], t["acl"], [[lun[k] for k in keys] for lun in t["luns"]]] for t in targets]


def portals(box):
    found = json.loads(box.sh("lgtadm --json -m portal -o show"))["portals"]
    return sorted((p["transport"], p["host"], p["trouble"]) for p in found)


def admitted(box, iqn, password):
    """By CHAP, through the other network card."""
    url = f"iscsi://{USER}%{password}@{box.portal()}/{iqn}/1"
    return subprocess.run(["iscsi-inq", url], stdin=subprocess.DEVNULL, capture_output=True, timeout=WORK_SECS,
                          check=False).returncode == 0


def returns(far):
    """How often a disk of the initiator has been told of a gateway that is a new one."""
    return far.sh("dmesg").count("Power-on or device reset occurred")


def no_error(far):
    said = far.sh("dmesg")
    need("I/O error" not in said, said[-4000:])


@case("appliance.json: a static address, soft RoCE, a target with CHAP over TCP and one over iSER")
def _(box, far):
    wait_for(lambda: box.sh("systemctl is-active lichgate-apply.service", check=False)[1].strip() == "active", WORK_SECS,
             "appliance.json is applied")
    need(portals(box) == PORTALS, f"it listens at {portals(box)}")
    for iqn in TARGETS.values():
        need(admitted(box, iqn, PASSWORD), f"{iqn} does not admit its user")
        need(not admitted(box, iqn, PASSWORD + "x"), f"{iqn} admits anybody")


@case("the second guest attaches over TCP and over iSER, and what fio writes is what it reads")
def _(box, far):
    for iface, iqn in TARGETS.items():
        for more in ((), ("--verify_only",)):
            disk = far.attach(iqn, iface, USER, PASSWORD)
            for size, depth, amount, at in (("512", 8, "64k", 0), ("4k", 16, "1m", "8m"), ("64k", 8, "8m", "16m"),
                                            ("1m", 4, "16m", "32m")):
                far.fio(disk, f"--bs={size}", f"--iodepth={depth}", f"--size={amount}", f"--offset={at}", *more)
            print(far.sh("iscsiadm", "-m", "session"), flush=True)
            far.detach(iqn, iface)
    no_error(far)


@case("the appliance's power is cut: every flushed write is there, and the configuration; both sessions come back")
def _(box, far):
    before, disks = configuration(box), attached(far)
    for disk in disks:
        far.numbers_start(disk)
    wait_for(lambda: all(far.numbers_flushed(d)[0] > 200 for d in disks), WORK_SECS, "numbers are written over both ways")
    returned = returns(far)
    box.cut()
    # Whatever comes back from now on does so after the boot: a flush of then tells nothing of the writes before.
    flushed = {d: far.numbers_flushed(d) for d in disks}
    print(f"flushed at the power cut: {flushed}", flush=True)
    need(not any(error for _, error in flushed.values()), "the cut came too late")
    box.start()
    box.wait_portal()
    for disk, (n, _) in flushed.items():
        # One may be on its way; the numbers after it begin with the session that came back.
        wait_for(lambda disk=disk, n=n: far.numbers_flushed(disk)[0] > n + 50 or far.numbers_flushed(disk)[1], WORK_SECS,
                 f"writes to {disk} go on")
        far.numbers_end(disk)
        need(not far.numbers_flushed(disk)[1], f"{disk}: {far.numbers_flushed(disk)}")
    for disk, (n, _) in flushed.items():
        need(not far.numbers_lacking(disk, n), f"{disk}: of {n} numbers these are lacking: {far.numbers_lacking(disk, n)}")
    need(returns(far) >= returned + len(disks), "the initiator has noticed nothing")
    no_error(far)
    need(configuration(box) == before, f"{before} became {configuration(box)}")
    need(portals(box) == PORTALS, f"it listens at {portals(box)}")
    for iqn in TARGETS.values():
        need(admitted(box, iqn, PASSWORD) and not admitted(box, iqn, PASSWORD + "x"), f"{iqn} has lost its account")


@case("an update to version 2 under verified writes: the initiator sees a pause and no error")
def _(box, far):
    disks = attached(far)

    def more(rounds, when):
        enough = {d: far.fio_rounds(d)[0] + rounds for d in disks}
        wait_for(lambda: all(far.fio_rounds(d)[0] >= n or far.fio_rounds(d)[1] for d, n in enough.items()), WORK_SECS,
                 f"fio goes on {when}")
        need(not any(far.fio_rounds(d)[1] for d in disks), f"{when}: {[far.fio_rounds(d) for d in disks]}")

    for disk in disks:
        far.fio_start(disk)
    more(1, "before the update")
    returned = returns(far)
    need(status(box)["running"] == "a", "another version runs than the first")
    box.sh(f"lichgate-appliance update - <{UPDATE}", WORK_SECS)
    box.sh("systemctl --no-block reboot")
    box.next_shell()
    until(box, WORK_SECS, "version 2 is tried and kept", lambda now: now["running"] == now["good"] == "b")
    # The first of them may have begun before all that.
    more(2, "after the update")
    for disk in disks:
        far.fio_end(disk)
    more(0, "at the end")
    need(returns(far) >= returned + len(disks), "the initiator has noticed nothing")
    no_error(far)


def main():
    with tempfile.TemporaryDirectory(prefix="lgt-pair.", dir=os.environ.get("LGT_IMAGE_TMP")) as work:
        cable = os.path.join(work, "cable")
        far = Initiator(work, cable)
        two = version_of("2", SHELL, os.path.join(work, "two.update"))
        with Forgetful(disks=[("virtio", "64M"), ("virtio", "64M"), ("virtio", two)], cpus=1, cable=(cable, 2)) as box:
            box.esp_write("appliance.json", json.dumps(SETUP))
            far.start()
            try:
                wait_for(lambda: os.path.exists(cable), 60, "the cable is there")
                box.start()
                box.wait_portal()
                far.wait_ready()
                return run(box, far)
            finally:
                far.end()


if __name__ == "__main__":
    sys.exit(main())
