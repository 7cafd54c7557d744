#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A CD/DVD drive: an image as initiators read it, and discs that are locked, ejected and changed."""
# runner: timeout=120
import json
import os
import random
import re
import struct

import _store_lab as st
from iso import BLOCK, image
from lab import Lab, Refused, require_built
from tap import case, need, run

NAME = "iqn.2026-11.test:store"
EJECT, LOAD = bytes((0x1B, 0, 0, 0, 2, 0)), bytes((0x1B, 0, 0, 0, 3, 0))
LOCK, UNLOCK = bytes((0x1E, 0, 0, 0, 1, 0)), bytes((0x1E, 0, 0, 0, 0, 0))
READ_CAPACITY = bytes((0x25,)) + bytes(9)
EVENT = bytes((0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8, 0))
TOC = bytes((0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0))
TEST_UNIT_READY = bytes(6)
NO_DISC, TRAY_OPEN, NEW_DISC, LOCKED = (2, 0x3A, 1), (2, 0x3A, 2), (6, 0x28, 0), (5, 0x53, 2)
LUN = ("--tid", 1, "--lun", 2)


def write(lab, name, seed, size):
    path = lab.path(name)
    with open(path, "wb") as f:
        f.write(image({"FIRST.BIN": random.Random(seed).randbytes(size), "SECOND.TXT": b"second\n"}))
    return path


def bytes_of(path):
    with open(path, "rb") as f:
        return f.read()


def update(lab, params):
    return lab.op("logicalunit", "update", *LUN, "--params", params)


def said(i, cdb, read=0):
    """The data of a command that must succeed."""
    sense_, data = st.command(i, cdb, read)
    need(sense_ is None, f"{cdb.hex()}: {sense_}")
    return data


def sense(i, cdb):
    return st.command(i, cdb)[0]


def drive(lab):
    """A session whose unit attentions are taken."""
    i = st.attach(addr(lab), lab.iqn(1), name=NAME)
    i.lun = 2
    st.attentions(i)
    return i


def addr(lab):
    host, _, port = lab.portal.rpartition(":")
    return host, int(port)


def setup(lab):
    lab.target(1)
    lab.lun(1, 1, lab.file("disk", "1M"))
    lab.lun(1, 2, write(lab, "first.iso", 1, 300_001), None, "--device-type", "cd")


@case("initiators see a CD/DVD drive, and read the image")
def _(lab):
    path = lab.path("first.iso")
    out = lab.run("iscsi-inq", lab.url(1, 2)).stdout
    need(re.search(r"Peripheral Device Type:MMC", out) and "Removable:1" in out, out)
    back = lab.path("back.iso")
    lab.run("qemu-img", "convert", "-f", "raw", "-O", "raw", lab.url(1, 2), back)
    need(bytes_of(back) == bytes_of(path), "the image differs")
    with drive(lab) as i:
        last, block = struct.unpack(">II", said(i, READ_CAPACITY, 8))
        need((last + 1) * block == os.path.getsize(path) and block == BLOCK, f"{last} {block}")
        toc = said(i, TOC, 20)
        need(struct.unpack(">I", toc[16:20])[0] == last + 1 and toc[14] == 0xAA, toc.hex())


@case("what the administrator sees, and what cannot be")
def _(lab):
    show = lab.show()
    need(re.search(r"LUN: 2\n +Type: cd/dvd\n", show) and "Removable media: Yes" in show and "Readonly: Yes" in show,
         show)
    lun = json.loads(lab.op("target", "show", "--json"))["targets"][0]["luns"][1]
    need((lun["type"], lun["block_size"], lun["product"]) == ("cd", BLOCK, "VIRTUAL-CDROM"), lun)
    for params, why in (("readonly=0", "read-only"), ("removable=0", "removable"), ("size=1g", "size")):
        try:
            update(lab, params)
        except Refused as r:
            need(why in r.err, r.err)
        else:
            raise AssertionError(f"{params} was taken")
    # Two drives may have one disc.
    lab.op("logicalunit", "new", "--tid", 1, "--lun", 3, "--device-type", "dvd", "--backing-store", lab.path("first.iso"))
    lab.op("logicalunit", "delete", "--tid", 1, "--lun", 3)


@case("another disc: offline, another image, online")
def _(lab):
    second = write(lab, "second.iso", 2, 70_000)
    with drive(lab) as i:
        update(lab, "online=0")
        need(sense(i, TEST_UNIT_READY) == NO_DISC, "there is a disc")
        need(said(i, EVENT, 8)[4:6] == b"\3\0", "no event of the removal")
        update(lab, f"path={second}")
        need(sense(i, TEST_UNIT_READY) == NO_DISC, "there is a disc")
        update(lab, "online=1")
        need(said(i, EVENT, 8)[4:6] == b"\2\2", "no event of the new disc")
        need(sense(i, TEST_UNIT_READY) == NEW_DISC, "no unit attention")
        need(struct.unpack(">I", said(i, READ_CAPACITY, 8)[:4])[0] + 1 == os.path.getsize(second) // BLOCK, "capacity")
        bad, data = st.read(i, 16, 4, BLOCK)
        need(not bad and data == bytes_of(second)[16 * BLOCK:20 * BLOCK], "data of the other disc")


@case("a lock keeps the disc from initiators and from the administrator")
def _(lab):
    with drive(lab) as i:
        said(i, LOCK)
        need(sense(i, EJECT) == LOCKED, "ejected")
        need("Prevent removal: Yes" in lab.show(), lab.show())
        try:
            update(lab, "online=0")
        except Refused as r:
            need("Prevent Removal" in r.err or "locked" in r.err, r.err)
        else:
            raise AssertionError("the locked disc was taken away")
        said(i, UNLOCK)
        said(i, EJECT)
        need(sense(i, TEST_UNIT_READY) == TRAY_OPEN, "the tray is closed")
        need(re.search(r"LUN: 2\n(?:.*\n){4} +Online: No", lab.show()), lab.show())
        said(i, LOAD)
        need(sense(i, TEST_UNIT_READY) == NEW_DISC, "no unit attention")
        said(i, EJECT)
        update(lab, "online=0")
        update(lab, "online=1")
        need(sense(i, TEST_UNIT_READY) == NEW_DISC, "the administrator cannot load it")
        said(i, TEST_UNIT_READY)


@case("the drive is there again after a crash of either daemon")
def _(lab):
    before = lab.show()
    for daemon in lab.daemons:
        daemon.kill()
        lab.start()
        need(lab.show() == before, lab.show())
    with drive(lab) as i:
        bad, data = st.read(i, 0, 20, BLOCK)
        need(not bad and data == bytes_of(lab.path("second.iso"))[:20 * BLOCK], "data")


@case("a number that was a disk's becomes a drive's, and back")
def _(lab):
    lab.op("logicalunit", "delete", *LUN)
    lab.op("logicalunit", "new", *LUN, "--backing-store", lab.path("first.iso"))
    need("DIRECT_ACCESS" in lab.run("iscsi-inq", lab.url(1, 2)).stdout, "no disk")
    lab.op("logicalunit", "delete", *LUN)
    lab.op("logicalunit", "new", *LUN, "--backing-store", lab.path("first.iso"), "--device-type", "cd")
    need("MMC" in lab.run("iscsi-inq", lab.url(1, 2)).stdout, "no drive")


require_built()
if st.STANDIN:
    print("about our own drive")
    raise SystemExit(77)
with Lab() as lab_:
    setup(lab_)
    failed = run(lab_)
raise SystemExit(failed)
