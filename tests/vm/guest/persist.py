# SPDX-License-Identifier: BSD-3-Clause
"""Linux's sg_persist from two initiators as fence_scsi calls it; then the power is cut, and it is all there again."""
import os
import subprocess
import sys
import time

import _initiator as ini
from lab import Lab
from tap import case, need, run

STATE_DISK, STATE = "/dev/vdc", "/tmp/state"
KEYS = {"node1": "0xabc1", "node2": "0xabc2"}
BLOCK = 4096


def persist(node, *args):
    """(exit code, what it said)"""
    p = subprocess.run(["sg_persist", "--no-inquiry", *args, ini.disk_of(IQN, node)], env=ini.ENV, capture_output=True,
                       text=True, stdin=subprocess.DEVNULL, check=False)
    return p.returncode, p.stdout + p.stderr


def good(node, *args):
    code, text = persist(node, *args)
    need(code == 0, f"{node} {' '.join(args)}: exit {code}\n{text}")
    return text


def keys(node):
    return sorted(w for w in good(node, "--in", "--read-keys").split() if w in KEYS.values())


def holder(node):
    text = good(node, "--in", "--read-reservation")
    need("Write Exclusive, registrants only" in text or "NO reservation" in text, text)
    return next((k for k in KEYS.values() if "Key=" + k in text), None)


def writes(node):
    """Whether a block reaches the medium, past the page cache."""
    p = subprocess.run(["dd", "if=/dev/zero", "of=" + ini.disk_of(IQN, node), f"bs={BLOCK}", "count=1", "oflag=direct"],
                       env=ini.ENV, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return p.returncode == 0


def calm(node):
    """Takes the unit attentions, which sg_persist passes on."""
    for _ in range(6):
        if subprocess.run(["sg_turs", ini.disk_of(IQN, node)], env=ini.ENV, capture_output=True,
                          check=False).returncode == 0:
            return


def attach(lab):
    for node in KEYS:
        ini.sh("iscsiadm", "-m", "iface", "-I", node, "-o", "new")
        for name, value in (("iface.initiatorname", f"iqn.2026-11.org.example:{node}"), ("iface.transport_name", "tcp")):
            ini.sh("iscsiadm", "-m", "iface", "-I", node, "-o", "update", "-n", name, "-v", value)
    for node in KEYS:
        ini.discover(lab.portal, node)
        ini.login(IQN, lab.portal, node)
        calm(node)


def before(lab):
    @case("both nodes register and one reserves, as fence_scsi does it")
    def _(lab):
        for node, key in KEYS.items():
            good(node, "--out", "--register-ignore", "--param-sark=" + key, "--param-aptpl")
        good("node1", "--out", "--reserve", "--param-rk=" + KEYS["node1"], "--prout-type=5")
        need(keys("node2") == sorted(KEYS.values()) and holder("node2") == KEYS["node1"], "not as registered")
        code, text = persist("node2", "--out", "--reserve", "--param-rk=" + KEYS["node2"], "--prout-type=5")
        need(code == 24, f"exit {code}: {text}")
        need(writes("node1") and writes("node2"), "registrants cannot write")

    @case("a fenced node cannot write")
    def _(lab):
        good("node1", "--out", "--preempt-abort", "--param-rk=" + KEYS["node1"], "--param-sark=" + KEYS["node2"],
             "--prout-type=5")
        calm("node2")
        need(keys("node1") == [KEYS["node1"]], "its key is still there")
        need(writes("node1") and not writes("node2"), "the wrong one writes")
        text = good("node1", "--in", "--report-capabilities") + good("node1", "--in", "--read-full-status")
        need("iqn.2026-11.org.example:node1" in text, text)

    @case("the power is cut")
    def _(lab):
        pass


def after(lab):
    @case("after the power came back the node is fenced still, and the other one is not")
    def _(lab):
        need(keys("node2") == [KEYS["node1"]] and holder("node2") == KEYS["node1"],
             f"{keys('node2')}, {holder('node2')} holds")
        need(not writes("node2") and writes("node1"), "the wrong one writes")

    @case("it is let in again")
    def _(lab):
        good("node2", "--out", "--register-ignore", "--param-sark=" + KEYS["node2"], "--param-aptpl")
        need(writes("node2"), "a registrant cannot write")
        good("node1", "--out", "--clear", "--param-rk=" + KEYS["node1"])
        calm("node2")
        need(keys("node2") == [] and holder("node2") is None, "CLEAR has left something")


fresh = "ext4" not in ini.sh("blkid", STATE_DISK, check=False)
if fresh:
    ini.sh("mkfs.ext4", "-q", STATE_DISK)
os.makedirs(STATE, exist_ok=True)
ini.sh("modprobe", "ext4")
ini.sh("mount", STATE_DISK, STATE)
ini.start(["sg"])
with Lab(keep=os.path.join(STATE, "lab"), portal="127.0.0.1:3260") as lab_:
    IQN = lab_.iqn(1)
    if fresh:
        lab_.target(1)
        lab_.lun(1, 1, lab_.file("disk", "32M"))
        # All but the reservations may be lost with the power: they are what is looked at.
        os.sync()
    attach(lab_)
    (before if fresh else after)(lab_)
    failed = run(lab_)
    if fresh and not failed:
        sys.stdout.flush()
        time.sleep(0.5)
        with open("/proc/sysrq-trigger", "w", encoding="ascii") as f:
            f.write("b")
        time.sleep(60)
sys.exit(failed)
