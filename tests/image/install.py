#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=5400
"""From a USB stick by the console's menu onto a blank disk, verified; that disk boots alone, and with the stick left in."""
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile

from _appliance import BOOT_SECS, Appliance, partitions, tool
from tap import case, need, run

INSTALL_SECS, ANSWER_SECS = 1800, 300
IQN = "iqn.2026-11.org.example:installed"


def refused(box, words, why):
    code, said = box.sh(f"lichgate-appliance install {words}", check=False)
    need(code == 1 and re.fullmatch(rf"lichgate-appliance install: .*{why}.*\n", said), f"install {words}: exit {code}: {said}")


def start_of(path, size=64 << 20):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read(size)).hexdigest()


def uuids(path):
    table = json.loads(tool("sfdisk", "-J", path))["partitiontable"]
    return {table["id"], *(p["uuid"] for p in table["partitions"])}


@case("the stick, a LUN, a disk with data on it or too small, and none at all are refused")
def _(box, disks):
    box.start()
    box.console.expect(r"runs from a stick[\s\S]*Press Enter for the menu", BOOT_SECS)
    box.wait_portal()
    print(box.sh("lichgate-appliance install"), flush=True)
    before = start_of(disks["used"])
    refused(box, "sda --erase", "the system runs from it")
    refused(box, "vda", "vda: it carries data; --erase erases it")
    refused(box, "vdb --erase", "it is too small: [0-9]+ MiB are needed")
    refused(box, "vdz --erase", "there is no disk vdz")
    box.sh(f"lgtadm -m target -o new -t 1 -T {IQN} && lgtadm -m logicalunit -o new -t 1 -l 1 -b /dev/vda")
    refused(box, "vda --erase", f"vda: it is LUN 1 of {IQN}")
    need(start_of(disks["used"]) == before, "a refused disk was written to")


@case("the menu installs on the blank disk, and what was written is read back")
def _(box, disks):
    listed = rf"sda [^\n]*runs from it[\s\S]*vda [^\n]*LUN 1 of {IQN}[\s\S]*1  nvme0n1[^\n]*\n  0  back\nChoice: "
    for typed, answer in (("", r"12  install on a disk\n[\s\S]*?Choice: "), ("12", listed),
                          ("1", r"put on nvme0n1[.] Type yes to go on: ")):
        box.console.send(typed + "\r")
        box.console.expect(answer, ANSWER_SECS)
    box.console.send("yes\r")
    start = box.console.at
    box.console.expect(r"Installed and verified[^\n]*\n[\s\S]*?Choice: ", INSTALL_SECS)
    said = box.console.said()[start:box.console.at]
    print(said, flush=True)
    need(said.count("Read back: ") == 4, said)
    need("rw" in box.sh("findmnt -no OPTIONS /boot").strip().split(","), "the boot partition stayed read-only")
    box.ident = box.sh("cat /etc/machine-id")
    # What was called verified is on the disk: no farewell.
    box.cut()
    need(not uuids(box.system) & uuids(disks["blank"]), "UUIDs are shared")
    need(sum(partitions(disks["blank"])["lichgate-state"]) > os.path.getsize(disks["blank"]) - (4 << 20),
         "the state does not reach the disk's end")


@case("with lichgate.install= it installs without questions, and the option stays on the stick")
def _(_box, disks):
    with Appliance(disks=[("nvme", disks["other"])], bus="stick", arguments="lichgate.install=nvme0n1", cpus=1) as stick:
        stick.esp_write("appliance.json", json.dumps({"hostname": "installed", "targets": [{"data_disks": "all"}]}))
        stick.start()
        stick.console.expect(r"Installed and verified[^\n]*\n", BOOT_SECS + INSTALL_SECS)
        said = stick.console.said()
        need(said.count("Read back: ") == 4, said)
        stick.cut()
        need("lichgate.install" in stick.esp_read("a/boot.cfg").decode(), "the stick's own option is gone")
        config = stick.esp_read("appliance.json")
        stick.system = disks["other"]
        need("lichgate.install" not in stick.esp_read("a/boot.cfg").decode(), "the new system would install itself")
        need(stick.esp_read("appliance.json") == config, "the file of settings was not copied")


def serves(new, ident):
    """A system of its own, with room, that exports a disk."""
    new.start()
    new.wait_portal()
    now = json.loads(new.sh("lichgate-appliance status --json"))
    need(now["running"] == now["good"] == "a" and now["version"], str(now))
    need("runs from a stick" not in new.console.said(), "it believes to be a stick")
    need(int(new.sh("df --output=size -m /var | tail -1")) > 1000, "the state is small")
    need(new.sh("cat /etc/machine-id") != ident, "the new system has the identity of the stick's")
    new.sh("lichgate-appliance selftest --wait 300", BOOT_SECS)


@case("the disk boots alone by SeaBIOS, and serves")
def _(box, disks):
    with Appliance(image=disks["blank"], size="1M", bus="nvme", cpus=1) as new:
        serves(new, box.ident)


@case("the disk boots alone by OVMF, and then from itself with the stick left in")
def _(box, disks):
    with Appliance(image=disks["blank"], size="1M", bus="nvme", firmware="uefi", cpus=1) as new:
        serves(new, box.ident)
        ident = new.sh("cat /etc/machine-id")
        new.cut()
        new.disks.append(("stick", box.system))
        new.start()
        new.wait_portal()
        need(new.sh("findmnt -no SOURCE /boot").strip() == "/dev/nvme0n1p2", "it took the stick's boot partition")
        need(new.sh("cat /etc/machine-id") == ident, "it took the stick's configuration")


with tempfile.TemporaryDirectory(prefix="lgt-install.", dir=os.environ.get("LGT_IMAGE_TMP")) as top:
    made = {name: os.path.join(top, name) for name in ("blank", "other", "used", "small")}
    for name, size in (("blank", 5 << 30), ("other", 5 << 30), ("used", 64 << 20), ("small", 256 << 20)):
        with open(made[name], "wb") as f:
            f.truncate(size)
    tool(shutil.which("mke2fs", path="/usr/sbin:/sbin"), "-q", "-t", "ext4", made["used"])
    os.truncate(made["used"], 4 << 30)
    with Appliance(disks=[("virtio", made["used"]), ("virtio", made["small"]), ("nvme", made["blank"])], bus="stick",
                   cpus=1) as here:
        failed = run(here, made)
sys.exit(failed)
