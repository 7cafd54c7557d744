#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=700
"""A Debian root file system is written to a LUN, QEMU boots from that LUN, and what the guest wrote is on it."""
import hashlib
import os
import subprocess

import _guest
from lab import Lab, require_built
from tap import case, need, run

BOOT_SECS = 420


@case("qemu-img writes the root file system to the LUN")
def _(lab):
    src = _guest.root_of_image()
    lab.file("disk", os.path.getsize(src))
    lab.target(1)
    lab.lun(1, 1, lab.path("disk"))
    lab.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", src, lab.url(), timeout=300)
    lab.run("qemu-img", "compare", "-f", "raw", "-F", "raw", src, lab.url(), timeout=300)


@case("Debian boots from the LUN, writes to it and powers off")
def _(lab):
    console = lab.path("console")
    argv = _guest.machine() + [
        "-drive", f"file={lab.url()},format=raw,if=virtio,cache=none", "-serial", "file:" + console,
        "-append", "console=ttyS0 root=/dev/vda rw panic=-1 quiet lun-proof systemd.show_status=0"]
    try:
        code = subprocess.run(argv, timeout=BOOT_SECS, stdin=subprocess.DEVNULL, check=False).returncode
    except subprocess.TimeoutExpired:
        code = "no end"
    with open(console, encoding="utf-8", errors="replace") as f:
        said = f.read()
    need(code == 0 and "LUN-PROOF-WRITTEN" in said, f"{code}\n{said[-3000:]}")


@case("the image read back is clean and has what the guest left")
def _(lab):
    back = lab.path("back.img")
    lab.run("qemu-img", "convert", "-f", "raw", "-O", "raw", lab.url(), back, timeout=300)
    lab.run("e2fsck", "-f", "-n", back)
    for name in ("proof", "proof.sha256"):
        lab.run("debugfs", "-R", f"dump /root/{name} {lab.path(name)}", back)
    with open(lab.path("proof"), "rb") as f:
        data = f.read()
    with open(lab.path("proof.sha256"), encoding="ascii") as f:
        said = f.read().split()[0]
    need(len(data) == 8 << 20 and hashlib.sha256(data).hexdigest() == said, "another file than the guest wrote")
    lab.run("cmp", back, lab.path("disk"))


require_built()
with Lab() as lab_:
    failed = run(lab_)
raise SystemExit(failed)
