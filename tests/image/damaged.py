#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=3600
"""A slot that was good, and whose root its disk has damaged since: the other slot serves, and becomes the good one."""
import json
import os
import sys
import tarfile

from _appliance import ARGUMENTS, TOP, Appliance, output, partitions
from _versions import status, until
from tap import case, need, run

sys.path.insert(0, os.path.join(TOP, "appliance-image"))
from appliance import slots  # noqa: E402

WORK_SECS = 900


def fill(box, slot):
    """The slot as an update leaves it, while the machine is off."""
    with tarfile.open(output("update")) as update:
        for name in ("manifest.json", "manifest.sig", "vmlinuz", "initrd"):
            box.esp_write(f"{slot}/{name}", update.extractfile(name).read())
        said = json.load(update.extractfile("manifest.json"))
        said["cmdline"] += " " + ARGUMENTS
        box.esp_write(f"{slot}/boot.cfg", slots.boot_cfg(said, slot))
        with open(box.system, "r+b") as disk:
            disk.seek(partitions(box.system)["lichgate-" + slot][0])
            disk.write(update.extractfile("root.img").read())


@case("a good slot that does not come up three times gives way to the other one, for good")
def _(box):
    fill(box, "b")
    # The squashfs begins here: the kernel gets an I/O error from verity and mounts nothing.
    box.flip("lichgate-a", 0)
    box.start()
    box.wait_portal()
    now = until(box, WORK_SECS, "slot b passes its self-test", lambda now: now["good"] == "b")
    need(now["running"] == "b" and not now["trial"], str(now))
    need(box.console.said().count("cannot be mounted") == 3, "slot a was not started three times")
    box.off()
    need(b"starts=\n" in box.esp_read("grub/grubenv"), "starts of slot b are still counted")


if __name__ == "__main__":
    with Appliance(cpus=1) as here:
        failed = run(here)
    sys.exit(failed)
