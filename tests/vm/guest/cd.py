# SPDX-License-Identifier: BSD-3-Clause
"""Linux's CD-ROM driver: a disc that is mounted, read, locked, ejected and changed."""
import fcntl
import glob
import os
import random

import _initiator as ini
from iso import image
from lab import SCALE, Lab, Refused, wait_for
from tap import case, need, run

MOUNT = "/tmp/cd"
EJECT, CLOSE, DRIVE_STATUS, DISC_STATUS = 0x5309, 0x5319, 0x5326, 0x5327
NO_DISC, TRAY_OPEN, DISC_OK, DATA_1 = 1, 2, 4, 101


def files(seed):
    return {"FIRST.BIN": random.Random(seed).randbytes(3_000_001), "SECOND.TXT": f"disc {seed}\n".encode()}


def disc(lab, seed):
    path = lab.path(f"disc{seed}.iso")
    with open(path, "wb") as f:
        f.write(image(files(seed)))
    return path


def drive():
    found = glob.glob("/sys/block/sr*")
    return "/dev/" + os.path.basename(found[0]) if found else None


def asked(request, arg=0):
    fd = os.open(drive(), os.O_RDONLY | os.O_NONBLOCK)
    try:
        return fcntl.ioctl(fd, request, arg)
    finally:
        os.close(fd)


def update(lab, params):
    lab.op("logicalunit", "update", "--tid", 1, "--lun", 1, "--params", params)


def mounted_equals(seed):
    """Mounted, each file is what was put on the disc; stays mounted."""
    os.makedirs(MOUNT, exist_ok=True)
    ini.sh("mount", "-t", "iso9660", "-o", "ro", drive(), MOUNT)
    for name, data in files(seed).items():
        with open(os.path.join(MOUNT, name.lower()), "rb") as f:
            need(f.read() == data, name)


@case("/dev/sr0 appears, says what is in it, and its files are those of the image")
def _(lab):
    ini.discover(lab.portal)
    ini.node(lab.iqn(1), lab.portal, "--login")
    wait_for(drive, 20 * SCALE, "the drive is there")
    need(asked(DRIVE_STATUS) == DISC_OK and asked(DISC_STATUS) == DATA_1, ini.sh("dmesg")[-2000:])
    mounted_equals(1)


@case("what is mounted stays: neither ejected nor taken away")
def _(lab):
    try:
        update(lab, "online=0")
    except Refused as r:
        need("locked" in r.err, r.err)
    else:
        raise AssertionError("the disc was taken from under its file system")
    ini.sh("umount", MOUNT)


@case("ejected and loaded by the initiator")
def _(lab):
    asked(EJECT)
    need(asked(DRIVE_STATUS) == TRAY_OPEN, asked(DRIVE_STATUS))
    asked(CLOSE)
    need(asked(DRIVE_STATUS) == DISC_OK, asked(DRIVE_STATUS))


@case("another disc is noticed, and nothing of the old one is left")
def _(lab):
    update(lab, "online=0")
    wait_for(lambda: asked(DRIVE_STATUS) == NO_DISC, 10 * SCALE, "the drive is empty")
    update(lab, "path=" + disc(lab, 2))
    update(lab, "online=1")
    wait_for(lambda: asked(DRIVE_STATUS) == DISC_OK, 10 * SCALE, "the drive has a disc")
    mounted_equals(2)
    ini.sh("umount", MOUNT)
    need(not ini.kernel_said(r"I/O error|critical"), ini.sh("dmesg")[-2000:])
    ini.logout(lab.iqn(1), lab.portal)


ini.start(["sr_mod"], ["isofs"])
with Lab() as lab_:
    lab_.target(1)
    lab_.lun(1, 1, disc(lab_, 1), None, "--device-type", "cd")
    failed = run(lab_)
raise SystemExit(failed)
