#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=7200
"""
Updates in a machine: a version that was tampered with, and one that does not work.

Each case begins and ends with version 1 in slot a, running and good.
"""
import os
import sys
import tempfile

from _appliance import Appliance, output, tool
from _versions import SHELL, status, until, version_of
from tap import case, need, run

WORK_SECS = 900
# It comes up, and its management daemon finds no place for its store.
BROKEN = " systemd.setenv=LGT_STATE_DIR=/proc/none"
TAMPERED, BAD = (f"/dev/disk/by-id/virtio-disk{n}" for n in (1, 2))


def tampered(source, path):
    """One bit of the root is another."""
    tool("cp", source, path)
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 1]))
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
    """Version 1 serves, and the other slot is empty."""
    if box.running():
        return
    box.start()
    box.wait_portal()
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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lgt-update.", dir=os.environ.get("LGT_IMAGE_TMP")) as top:
        files = [tampered(output("update"), os.path.join(top, "tampered")),
                 version_of("3", SHELL + BROKEN, os.path.join(top, "broken"))]
        with Appliance(disks=[("virtio", f) for f in files], cpus=1) as here:
            failed = run(here)
    sys.exit(failed)
