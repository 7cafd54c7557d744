#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=900
"""
The boot after an update, with the image's own systemd and daemons, in a container: it needs no emulated machine. What
boots which slot is GRUB's, and not here; what keeps a version, and what reboots, is.
"""
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

from _appliance import output, tool, wait_for
from tap import case, need, run

CGROUP = "/sys/fs/cgroup/systemd"
SECS = 180
UNITS = ("lichgate-confirm", "lichgate-accept")


class Box:
    """The image's root file system, as a container that believes to run from slot b."""

    def __init__(self, top):
        self.top, self.root, self.proc = top, os.path.join(top, "root"), None
        with tarfile.open(output("update")) as tar:
            for name in ("root.img", "manifest.json"):
                with open(os.path.join(top, name), "wb") as f:
                    shutil.copyfileobj(tar.extractfile(name), f)
        tool("unsquashfs", "-q", "-n", "-d", self.root, os.path.join(top, "root.img"))
        tool("cp", "-a", self.root + "/usr/share/factory/var/.", self.root + "/var/")
        os.makedirs(self.root + "/boot/grub")
        for slot in "ab":
            os.makedirs(f"{self.root}/boot/{slot}")
            shutil.copy(os.path.join(top, "manifest.json"), f"{self.root}/boot/{slot}")
            self.put(f"boot/{slot}/boot.cfg", "")

    def put(self, name, text):
        os.makedirs(os.path.dirname(os.path.join(self.root, name)), exist_ok=True)
        with open(os.path.join(self.root, name), "w", encoding="utf-8") as f:
            f.write(text)

    def get(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as f:
            return f.read()

    def boot(self, *arguments, unit=""):
        """Version 2 was written to slot b, GRUB has forgotten `try`; unit: more for lichgate-confirm.service."""
        self.end()
        self.put("boot/grub/grubenv", "# GRUB Environment Block\ngood=a\ntry=\n".ljust(1024, "#"))
        self.put("var/lib/appliance/update.json", json.dumps({"version": "2", "slot": "b", "state": "written", "why": ""}))
        # A container sees its host's; systemd's conditions look at the arguments of its first process.
        self.put("opt/cmdline", " ".join(arguments))
        for name in UNITS:
            self.put(f"etc/systemd/system/{name}.service.d/test.conf",
                     f"[Service]\nBindReadOnlyPaths=/opt/cmdline:/proc/cmdline\n{unit}")
        shutil.rmtree(self.root + "/var/log/journal", ignore_errors=True)
        os.mkdir(self.root + "/var/log/journal")
        self.proc = subprocess.Popen(["systemd-nspawn", "-q", "-b", "-D", self.root, "--register=no", "--keep-unit",
                                      "--private-network", "--console=pipe", *arguments],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def journal(self):
        p = subprocess.run(["journalctl", "-D", self.root + "/var/log/journal", "-o", "cat", "--no-pager"],
                           capture_output=True, text=True, check=False)
        return p.stdout

    def says(self, text):
        try:
            wait_for(lambda: text in self.journal(), SECS, f"the journal has '{text}'")
        except AssertionError:
            print(self.journal()[-3000:])
            raise

    def is_good(self, slot):
        return f"good={slot}\n" in self.get("boot/grub/grubenv")

    def end(self):
        if self.proc:
            self.proc.terminate()
            self.proc.wait(SECS)
            self.proc = None


@case("a version on trial that works is kept, after a restart of the gateway")
def _(box):
    box.boot("lichgate.slot=b", "lichgate.try")
    box.says("is the good one from now on")
    need(box.is_good("b") and "the reservation outlived a restart" in box.journal(), box.journal()[-3000:])
    need(json.loads(box.get("var/lib/appliance/update.json"))["state"] == "kept")
    need("reboot.target" not in box.journal(), "it reboots all the same")
    box.end()


@case("a version whose daemon does not come up is not kept: the machine reboots")
def _(box):
    box.boot("lichgate.slot=b", "lichgate.try", "systemd.setenv=LGT_STATE_DIR=/proc/none")
    box.says("Reached target reboot.target")
    need(box.is_good("a"))
    said = json.loads(box.get("var/lib/appliance/update.json"))
    need(said["state"] == "refused" and "lichgate-mgmtd.service has failed" in said["why"], str(said))
    box.end()


@case("a self-test that does not end reboots, too")
def _(box):
    box.boot("lichgate.slot=b", "lichgate.try", unit="ExecStart=\nExecStart=/bin/sleep 1000\nRuntimeMaxSec=5\n")
    box.says("Reached target reboot.target")
    need(box.is_good("a") and "lichgate-confirm.service: Failed with result 'timeout'" in box.journal())
    box.end()


@case("in any other boot the slot becomes the good one if it works, and nothing reboots if it does not")
def _(box):
    box.boot("lichgate.slot=b")
    box.says("is the good one from now on")
    need(box.is_good("b") and "outlived a restart" not in box.journal())
    box.end()
    box.boot("lichgate.slot=b", "systemd.setenv=LGT_STATE_DIR=/proc/none")
    box.says("lichgate-accept.service: Failed with result 'exit-code'")
    need(box.is_good("a") and "reboot.target" not in box.journal())
    box.end()


def hierarchy():
    """systemd in the container wants a control group hierarchy, which a host that runs none of its own may lack."""
    if os.path.ismount(CGROUP) or os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return
    os.makedirs(CGROUP, exist_ok=True)
    tool("mount", "-t", "cgroup", "-o", "none,name=systemd,xattr", "cgroup", CGROUP)


if os.geteuid() or not all(map(shutil.which, ("systemd-nspawn", "unsquashfs", "journalctl"))):
    print("skip the boot after an update: it needs root, systemd-container and squashfs-tools")
    sys.exit(0)
hierarchy()
with tempfile.TemporaryDirectory(prefix="lgt-trial.", dir=os.environ.get("LGT_IMAGE_TMP")) as work:
    here = Box(work)
    try:
        failed = run(here)
    finally:
        here.end()
sys.exit(failed)
