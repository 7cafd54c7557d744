#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=3600
"""
Data disks that look as if they were the appliance's own, or volumes to be assembled: the appliance boots from its own disk,
serves them whole, holds nothing of them, and does not change a byte over a power cut and two boots.
"""
import hashlib
import json
import os
import re
import sys

import _signatures
from _appliance import Appliance, partitions, tool
from tap import case, need, run

IQN = "iqn.2026-11.org.example:untouched"
READ_SECS = 600
PIECE = 32 << 20
# As the first disk of a machine that is attached to a LUN in which another appliance was installed.
STRANGE = '{"hostname": "stolen"}'
FOUND = ("ID_FS_TYPE", "ID_FS_UUID", "ID_PART_TABLE_TYPE", "ID_PART_ENTRY_NAME")
NAMED_AFTER_CONTENT = re.compile(r"/dev/disk/by-(label|uuid|partlabel|partuuid)/")


def make_disks(box):
    """What the appliance finds at its first boot; blkid says that each is what the test takes it for."""
    clone, group, array = (box.path(name) for name in ("clone.raw", "group.raw", "array.raw"))
    at = _signatures.copied(box.system, clone)
    tool("mcopy", "-o", "-i", f"{clone}@@{at['lichgate-boot']}", "-", "::appliance.json", input=STRANGE.encode())
    size = 64 << 20
    _signatures.blank(group, size, _signatures.lvm(size, "lichgate"))
    _signatures.blank(array, size, _signatures.md(size, "state"))
    own = _signatures.probe(box.system, partitions(box.system)["lichgate-boot"][0])
    need(_signatures.probe(clone, at["lichgate-boot"])["UUID"] == own["UUID"], "the copy of the boot partition has another UUID")
    for path, offset, kind in ((clone, at["volumes"], "LVM2_member"), (clone, at["array"], "linux_raid_member"),
                               (group, 0, "LVM2_member"), (array, 0, "linux_raid_member")):
        need(_signatures.probe(path, offset).get("TYPE") == kind, f"{path}: no {kind} at {offset}")
    return [("virtio", clone), ("nvme", group), ("virtio", array)]


def copy_state(box):
    """The file system of the state as it is by now, with its label and its UUID, alone on a disk."""
    state = box.path("state.raw")
    offset, length = partitions(box.system)["lichgate-state"]
    tool("dd", f"if={box.system}", f"of={state}", "bs=1M", "iflag=skip_bytes,count_bytes", f"skip={offset}", f"count={length}",
         "conv=sparse")
    os.truncate(state, length)
    own, copy = _signatures.probe(box.system, offset), _signatures.probe(state)
    need(own["TYPE"] == "ext4" and all(own[k] == copy[k] for k in ("TYPE", "UUID")), f"{own} is not {copy}")
    return "virtio", state


def sums(box):
    found = []
    for _, path in box.disks:
        with open(path, "rb") as f:
            found.append(hashlib.file_digest(f, "sha256").hexdigest())
    return found


def names(box):
    """{serial: kernel's name}: the system's disk is disk0, the others follow as they were given."""
    said = box.sh("for d in /sys/block/vd* /sys/block/nvme*; do cat $d/serial $d/device/serial 2>/dev/null | tr -d ' \\n'; "
                  "echo \" ${d##*/}\"; done")
    return dict(line.split() for line in said.splitlines())


def check(box):
    """Nobody but the gateway has anything to do with a data disk."""
    disk = names(box)
    system, data = disk.pop("disk0"), sorted(disk.values())
    need(len(data) == len(box.disks), f"there are {data}")
    need(box.sh("cat /run/lichgate-system-disk").strip() == system, "another disk is taken for the system's")
    blocks = box.sh("ls /sys/block").split()
    need([b for b in blocks if b.startswith(("dm-", "md"))] == ["dm-0"], f"something was assembled: {blocks}")
    need(re.fullmatch(rf"{system}\D?\d+", box.sh("ls /sys/block/dm-0/slaves").strip()), "the root is on another disk")
    for line in box.sh("cat /proc/self/mountinfo").splitlines():
        number = line.split()[2]
        if not number.startswith("0:"):
            at = box.sh(f"readlink -f /sys/dev/block/{number}").strip()
            need(at.endswith("/dm-0") or f"/{system}/" in at, f"mounted: {line}")
    need(not box.sh("cat /proc/swaps").splitlines()[1:], "there is swap")
    for one in data:
        held = box.sh(f"ls -d /sys/block/{one}/holders/* /sys/block/{one}/*/holders/* 2>/dev/null || :").strip()
        need(not held, f"{one} is held: {held}")
        for node in box.sh(f"cd /sys/block/{one} && ls -d ../{one} {one}*[0-9] 2>/dev/null || :").split():
            said = box.sh(f"udevadm info --query=property --name={os.path.basename(node)}")
            need(not any(f"{name}=" in said for name in FOUND), f"{node} was searched:\n{said}")
    links = [line.split() for line in box.sh("find /dev/disk -type l -printf '%p %l\\n'").splitlines()]
    need(any("/by-id/" in link for link, _ in links), "data disks have no names of their own")
    named = [link for link in links if NAMED_AFTER_CONTENT.search(link[0]) and os.path.basename(link[1]).startswith(tuple(data))]
    need(not named, f"links are named after what is on data disks: {named}")
    need("stolen" not in box.sh("uname -n"), "a data disk has configured the appliance")


def export(box, first):
    """Each disk from that one on as a LUN, by the name that its serial number gives it; the gateway opens it with O_EXCL."""
    links = [line.split() for line in box.sh("find /dev/disk/by-id -type l -printf '%p %l\\n'").splitlines()]
    disk = names(box)
    if first == 1:
        box.sh(f"lgtadm --lld iscsi --mode target --op new --tid 1 --targetname {IQN}")
        box.sh("lgtadm --lld iscsi --mode target --op bind --tid 1 --initiator-address ALL")
    for lun in range(first, len(box.disks) + 1):
        path = min(link for link, to in links if os.path.basename(to) == disk[f"disk{lun}"])
        box.sh(f"lgtadm --lld iscsi --mode logicalunit --op new --tid 1 --lun {lun} --backing-store {path}")


def compare(box):
    """A LUN is as large as its disk, and begins and ends as it does: what looks like a table or a label is there."""
    for lun, (_, path) in enumerate(box.disks, 1):
        remote = f"driver=iscsi,transport=tcp,portal={box.portal()},target={IQN},lun={lun}"
        size = os.path.getsize(path)
        said = tool("qemu-img", "info", "--output=json", "--image-opts", remote, timeout=READ_SECS)
        need(json.loads(said)["virtual-size"] == size, f"LUN {lun} is not as large as {path}: {said}")
        for at in (0, size - PIECE):
            part = f"driver=raw,offset={at},size={PIECE},file."
            tool("qemu-img", "compare", "--image-opts", f"{part}driver=file,file.filename={path}",
                 part + remote.replace(",", ",file."), timeout=READ_SECS)


@case("disks with the appliance's own labels and UUIDs, LVM and md are served whole and stay as they are")
def _():
    with Appliance(size="3G", cpus=1) as box:
        box.disks = make_disks(box)
        before = sums(box)
        # The first boot: the state partition is looked for, grown and made.
        box.start()
        box.wait_portal()
        check(box)
        export(box, 1)
        compare(box)
        box.cut()
        need(sums(box) == before, "a disk was changed until the power was cut")

        box.disks.append(copy_state(box))
        before = sums(box)
        box.start()
        box.wait_portal()
        check(box)
        export(box, len(box.disks))
        compare(box)
        box.off()
        need(sums(box) == before, "a disk was changed until the appliance was switched off")


if __name__ == "__main__":
    sys.exit(run())
