#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=7200
"""
Power cuts in an update. One update is watched, with a log of all that goes to the system's disk; what a power cut at any of
its moments would have left comes out of that log: what was flushed, and by chance some of what was not.
"""
import functools
import hashlib
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile

from _appliance import Appliance, output, partitions, tool
from _power import FLUSH, FUA, SECTOR, Forgetful, entries, replay
from _versions import SHELL, status, until, version_of
from _writer import Writer
from tap import case, need, run

IQN = "iqn.2026-11.org.example:powercut"
WORK_SECS = 900
LUN, GOOD = (f"/dev/disk/by-id/virtio-disk{n}" for n in (1, 2))
LUN_SIZE = 16 << 20
SEED = 20261122


class Watched(Forgetful):
    """The system's disk has the log, and is never put back."""

    def forgetful(self):
        return [self.system]

    def cut(self):
        Appliance.cut(self)

    def logged(self):
        return os.path.getsize(self.system + ".log")


class History:
    """The system's disk at one moment after another."""

    def __init__(self, path):
        self.path, self.chance = path, random.Random(SEED)
        with open(path + ".log", "rb") as log:
            self.entries = list(entries(log))
        self.parts = partitions(path)
        # What was read of a partition since something was written to it.
        self.known = {}
        # How far slot b's root was ever written.
        self.reach = 0

    def moments(self):
        """
        After each flush, how far the log had come. The disk has what was written before the flush, and of what was written
        then until the next one what chance leaves of it: all, nothing, or its first sectors.
        """
        flushes = [i for i, (_, _, flags, _) in enumerate(self.entries) if flags & FLUSH]
        with open(self.path + ".log", "rb") as log, open(self.path, "r+b", buffering=0) as disk:
            for entry in self.entries[:flushes[0]]:
                self.put(log, disk, entry)
            for this, following in zip(flushes, flushes[1:] + [len(self.entries)]):
                pending = self.entries[this:following]
                for entry in pending:
                    self.put(log, disk, entry, 1 if entry[2] & FUA else self.chance.choice((0, 1, self.chance.random())))
                yield self.entries[this][3]
                for entry in pending:
                    self.put(log, disk, entry)

    def put(self, log, disk, entry, share=1):
        sector, length, _, _ = entry
        start, length = sector * SECTOR, int(length // SECTOR * share) * SECTOR
        if not length:
            return
        replay(log, disk, entry, length)
        for name, (first, size) in self.parts.items():
            if first <= start < first + size:
                self.known = {key: value for key, value in self.known.items() if key[0] != name}
                if name == "lichgate-b":
                    self.reach = max(self.reach, start + length - first)

    def once(self, part, what, read):
        """read(), if something was written to that partition since it was called last."""
        if (part, what) not in self.known:
            self.known[part, what] = read()
        return self.known[part, what]

    def esp(self, name):
        """A file of the boot partition, or None."""
        def read():
            at = f"{self.path}@@{self.parts['lichgate-boot'][0]}"
            p = subprocess.run(["mcopy", "-n", "-i", at, "::" + name, "-"], capture_output=True, check=False)
            return None if p.returncode else p.stdout
        return self.once("lichgate-boot", name, read)

    def sha256(self, slot, name, size):
        def root():
            with open(self.path, "rb") as f:
                f.seek(self.parts["lichgate-" + slot][0])
                return hashlib.sha256(f.read(size)).hexdigest()
        if name == "root.img":
            return self.once("lichgate-" + slot, name, root)
        return self.once("lichgate-boot", ("sum", slot, name), lambda: hashlib.sha256(self.esp(f"{slot}/{name}") or b"").hexdigest())

    def environment(self):
        block = self.esp("grub/grubenv") or b""
        need(len(block) == 1024 and block.startswith(b"# GRUB Environment Block\n"), f"GRUB's block is broken: {block}")
        return dict(line.split("=") for line in block.decode().split("\n") if "=" in line)

    def whole(self, slot):
        """Of a slot that GRUB would start: is all of it what its manifest says?"""
        said = json.loads(self.esp(f"{slot}/manifest.json") or "null")
        need(said, f"slot {slot} has no manifest")
        need(f"lichgate.roothash={said['roothash']}" in self.esp(f"{slot}/boot.cfg").decode(), f"slot {slot} has another root")
        for name, want in said["files"].items():
            need(self.sha256(slot, name, want["size"]) == want["sha256"], f"slot {slot} has another {name}")

    def check(self):
        """What GRUB finds: a slot to start, and whatever it can start is whole."""
        env = self.environment()
        there = [slot for slot in "ab" if self.esp(f"{slot}/boot.cfg")]
        need(env["good"] in there, f"the good slot is empty: {env}, {there}")
        need(env["try"] in there or not env["try"], f"an empty slot is to be tried: {env}, {there}")
        for slot in there:
            self.whole(slot)


# What is on the disk at that moment, for the first time; and the slot that boots then.
MOMENTS = {
    "the initrd is being written": ("a", lambda h, trial: h.esp("b/vmlinuz") and not h.esp("b/initrd")),
    "half of the root is written": ("a", lambda h, trial: h.reach >= root_size() // 2),
    "all but boot.cfg is written": ("a", lambda h, trial: h.esp("b/manifest.json") and not h.esp("b/boot.cfg")),
    "the slot is to be tried": ("b", lambda h, trial: h.environment()["try"] == "b"),
    "it is tried and serves, and is not the good one yet":
        ("a", lambda h, trial: trial and h.environment().items() >= {"good": "a", "try": ""}.items()),
}


@functools.cache
def root_size():
    with tarfile.open(output("update")) as tar:
        return tar.getmember("root.img").size


def watched(top):
    """The history of an update that was kept, and how far its log had come when it began, and when the trial served."""
    with Watched(disks=[("virtio", lun(top)), ("virtio", version_of("2", SHELL, os.path.join(top, "two")))], cpus=1) as box:
        box.start()
        box.wait_portal()
        box.export(IQN, LUN)
        begun = box.logged()
        box.sh(f"lichgate-appliance update - <{GOOD}", WORK_SECS)
        box.sh("systemctl --no-block reboot")
        box.next_shell()
        box.sh("grep -w lichgate.try /proc/cmdline")
        box.wait_portal()
        trial = box.logged()
        until(box, WORK_SECS, "version 2 is kept", lambda now: now["good"] == "b")
        box.cut()
        path = os.path.join(top, "history")
        os.replace(box.system + ".flushed", path)
        os.replace(box.system + ".log", path + ".log")
    return History(path), begun, trial


def lun(top):
    path = os.path.join(top, "lun")
    with open(path, "ab") as f:
        f.truncate(LUN_SIZE)
    return path


@case("at no moment is there anything but a whole version for GRUB to start")
def _(top, history, begun, trial):
    checked = 0
    for at in history.moments():
        if at < begun:
            continue
        history.check()
        checked += 1
        for name, (_, reached) in MOMENTS.items():
            copy = os.path.join(top, name)
            if not os.path.exists(copy) and reached(history, at >= trial):
                tool("cp", "--sparse=always", history.path, copy)
    print(f"{checked} moments", flush=True)


def cut(name, slot, top, *_):
    copy = os.path.join(top, name)
    need(os.path.exists(copy), "there was no such moment")
    with Appliance(image=copy, disks=[("virtio", lun(top))], size="1M", cpus=1, shell=False) as box:
        os.unlink(copy)
        box.start()
        box.wait_portal()
        with Writer(box.url(IQN, 1)) as writer:
            writer.goes_on("after the power cut")
        need(status(box)["running"] == slot, str(status(box)))
        if slot == "b":
            until(box, WORK_SECS, "version 2 is kept", lambda now: now["good"] == "b")
        else:
            now = until(box, WORK_SECS, "what was half there is cleared", lambda now: now["slots"]["b"] is None)
            need(now["good"] == "a" and not now["try"], str(now))


for moment, (boots, _reached) in MOMENTS.items():
    case(f"power cut when {moment}")(functools.partial(cut, moment, boots))

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lgt-powercut.", dir=os.environ.get("LGT_IMAGE_TMP")) as work:
        failed = run(work, *watched(work))
    sys.exit(failed)
