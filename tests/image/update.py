#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=7200
"""
From one version to the next and back, in one machine: a version that was tampered with, one that does not work, one whose
root was changed on the disk, and one that is kept, with an initiator on the host that goes on through it all.

Each case begins and ends with version 1 in slot a, running and good.
"""
import os
import sys
import tempfile

from _appliance import BOOT_SECS, Appliance, flip, tool
from _versions import SHELL, status, until, version_of
from _writer import Writer
from tap import case, need, run

IQN = "iqn.2026-11.org.example:update"
WORK_SECS = 900
# It comes up, and its management daemon finds no place for its store.
BROKEN = " systemd.setenv=LGT_STATE_DIR=/proc/none"
LUN, GOOD, TAMPERED, BAD = (f"/dev/disk/by-id/virtio-disk{n}" for n in (1, 2, 3, 4))


def tampered(source, path):
    """One byte of the root is another."""
    tool("cp", source, path)
    flip(path, os.path.getsize(path) // 2)
    return path


def tried(box, file):
    """The next version is written, and boots."""
    box.sh(f"lichgate-appliance update - <{file}", WORK_SECS)
    box.sh("systemctl --no-block reboot")
    box.next_shell()


def given_up(box):
    """Version 1 runs, and nothing is left of the update."""
    now = until(box, WORK_SECS, "the slot that was refused is empty", lambda now: now["slots"]["b"] is None)
    need(now["running"] == now["good"] == "a" and not now["trial"] and not now["try"], str(now))
    need(now["update"]["state"] == "refused", str(now))
    box.wait_portal()
    return now["update"]["why"]


def ready(box):
    """Version 1 serves a LUN."""
    if box.running():
        return
    box.start()
    box.wait_portal()
    box.export(IQN, LUN)
    now = status(box)
    need(now["running"] == now["good"] == "a" and now["slots"]["b"] is None and not now["trial"], str(now))


@case("an update that was tampered with is refused, and nothing changes")
def _(box):
    ready(box)
    was = status(box)
    code, said = box.sh(f"lichgate-appliance update - <{TAMPERED}", WORK_SECS, check=False)
    need(code == 1 and "root.img in the update file is not the one that was signed" in said, f"{code}: {said}")
    need(status(box) == was, f"{status(box)} was {was}")
    code, said = box.sh("lichgate-appliance rollback", WORK_SECS, check=False)
    need(code == 1 and "slot b holds no version" in said, f"{code}: {said}")


@case("a version whose daemon does not come up gives way to the good one by itself")
def _(box):
    ready(box)
    tried(box, BAD)
    box.sh("grep -qw lichgate.try /proc/cmdline && grep -qw lichgate.slot=b /proc/cmdline")
    box.next_shell()
    why = given_up(box)
    need("lichgate-mgmtd.service" in why, why)


@case("a root that was changed on the disk does not boot, and the good version comes back by itself")
def _(box):
    ready(box)
    box.sh(f"lichgate-appliance update - <{GOOD}", WORK_SECS)
    # Where the file system begins.
    box.flip("lichgate-b", 0)
    box.sh("systemctl --no-block reboot")
    box.next_shell()
    box.console.expect(r"lichgate: \S+ (cannot be mounted|is not what slot b should have)", BOOT_SECS)
    why = given_up(box)
    need(why == "it did not come up", why)


@case("there and back: an initiator sees two pauses and no error, and reads what it wrote")
def _(box):
    ready(box)
    with Writer(box.url(IQN, 1)) as writer:
        writer.goes_on("before the update")
        tried(box, GOOD)
        now = until(box, WORK_SECS, "version 2 is kept", lambda now: now["good"] == "b")
        need(now["running"] == "b" and now["trial"] and now["version"] == "2" and now["update"]["state"] == "kept", str(now))
        need("the reservation outlived a restart" in box.sh("journalctl -b -u lichgate-confirm -o cat"))
        writer.goes_on("after the update")
        print(f"the update's longest pause: {writer.longest:.0f} s", flush=True)
        box.sh("lichgate-appliance rollback --reboot", WORK_SECS)
        box.next_shell()
        now = status(box)
        need(now["running"] == now["good"] == "a" and not now["trial"] and now["version"] != "2", str(now))
        writer.goes_on("after the rollback")
        writer.end()
        print(f"{writer.rounds} blocks written; the longest pause: {writer.longest:.0f} s", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lgt-update.", dir=os.environ.get("LGT_IMAGE_TMP")) as top:
        two = version_of("2", SHELL, os.path.join(top, "two"))
        files = [two, tampered(two, os.path.join(top, "tampered")), version_of("3", SHELL + BROKEN, os.path.join(top, "broken"))]
        with Appliance(disks=[("virtio", "64M"), *(("virtio", f) for f in files)], cpus=1) as here:
            failed = run(here)
    sys.exit(failed)
