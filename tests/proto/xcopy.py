#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=180
"""EXTENDED COPY(LID1) over a session: the data stays in the gateway (SPC-4 6.4)."""
import os
import struct

from _initiator import Initiator, attach
from _suite import run

MIB = 1 << 20
BLOCKS = 64 * MIB // 512
SEGMENT = 32768  # blocks: 16 MiB


class Counted(Initiator):
    """Knows how much has gone over the wire."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.wire = 0
        self.transmit = self.count

    def count(self, data):
        self.wire += len(data)
        self.sock.sendall(data)

    def read(self, n):
        self.wire += n
        return super().read(n)


def naa(i, lun):
    cdb = bytes((0x12, 1, 0x83, 0, 255, 0))
    rsp, page = i.finish(i.command(cdb, read=255, lun=lun))
    assert rsp.status == 0
    at = 4
    while at < len(page):
        if page[at + 1] & 0x3F == 3:
            return page[at + 4:at + 4 + page[at + 3]]
        at += 4 + page[at + 3]
    raise AssertionError("no NAA designator")


def cscd(name):
    return struct.pack(">BBHBBBB16sI", 0xE4, 0, 0, 1, 3, 0, len(name), name, 0)[:24].ljust(28, b"\0") + \
        struct.pack(">I", 512)


def segment(src, dst, n, src_lba, dst_lba):
    return struct.pack(">BBHHHHHQQ", 2, 0, 24, src, dst, 0, n, src_lba, dst_lba)


def parameters(names, segments):
    cscds, segs = b"".join(map(cscd, names)), b"".join(segments)
    return struct.pack(">BBHIII", 1, 0, len(cscds), 0, len(segs), 0) + cscds + segs


def xcopy(i, lun, names, segments):
    """Sent: its tag."""
    data = parameters(names, segments)
    cdb = struct.pack(">BB8xI2x", 0x83, 0, len(data))
    return i.command(cdb, write=len(data), data=data, lun=lun)


def filled(gw, name):
    path = gw.lab.file(name, 64 * MIB)
    with open(path, "r+b") as f:
        for _ in range(64):
            f.write(os.urandom(MIB))
    return path


def same(a, b):
    with open(a, "rb") as f, open(b, "rb") as g:
        for _ in range(64):
            if f.read(MIB) != g.read(MIB):
                return False
    return True


def ready(i, lun):
    for _ in range(5):
        rsp, _ = i.finish(i.command(bytes(6), lun=lun))
        if rsp.status == 0:
            return
    raise AssertionError("LUN %d does not become ready" % lun)


def test_64_mib_between_two_units(gw):
    src, dst = filled(gw, "src"), gw.lab.file("dst", 64 * MIB)
    gw.lab.lun(1, 2, src)
    gw.lab.lun(1, 3, dst)
    with Counted(gw.addr) as i:
        assert i.login(gw.target).bhs[36:38] == b"\0\0"
        for lun in (2, 3):
            ready(i, lun)
        names = [naa(i, 2), naa(i, 3)]
        before = i.wire
        rsp, _ = i.finish(xcopy(i, 2, names, [segment(0, 1, SEGMENT, at, at) for at in range(0, BLOCKS, SEGMENT)]))
        assert rsp.status == 0, rsp.sense()
        assert i.wire - before < 1024, "%d bytes went over the wire" % (i.wire - before)
        # COPY STATUS: completed, and how much.
        cdb = struct.pack(">BBB7xI2x", 0x84, 0, 1, 12)
        rsp, data = i.finish(i.command(cdb, read=12, lun=2))
        assert rsp.status == 0 and data == struct.pack(">IBHBI", 8, 1, 4, 0, 64 * MIB), data.hex()
        rsp, _ = i.finish(i.command(struct.pack(">BxIxHx", 0x35, 0, 0), lun=3))
        assert rsp.status == 0
    assert same(src, dst)
    for lun in (2, 3):
        gw.lab.op("logicalunit", "delete", "--tid", 1, "--lun", lun)


def test_a_unit_of_another_target_is_not_reached(gw):
    src = filled(gw, "other")
    gw.lab.target(2, gw.target + "2")
    gw.lab.lun(2, 1, src)
    with attach(gw.addr, gw.target + "2") as i:
        other = naa(i, 1)
    with attach(gw.addr, gw.target) as i:
        own = naa(i, 1)
        for a, b in ((0, 1), (1, 0)):
            rsp, _ = i.finish(xcopy(i, 1, [own, other], [segment(a, b, 8, 0, 0)]))
            assert rsp.sense() == (0xA, 0x0D02), rsp.sense()
    gw.lab.op("target", "delete", "--tid", 2, "--force")


def test_a_unit_goes_while_it_is_copied(gw):
    """Deleted under copies from many places: each ends, and the session lives."""
    src, dst = filled(gw, "src2"), gw.lab.file("dst2", 64 * MIB)
    gw.lab.lun(1, 2, src)
    gw.lab.lun(1, 3, dst)
    with attach(gw.addr, gw.target) as i:
        for lun in (2, 3):
            ready(i, lun)
        names = [naa(i, 2), naa(i, 3)]
        tag = xcopy(i, 2, names, [segment(0, 1, SEGMENT, at, at) for at in range(0, BLOCKS, SEGMENT)] * 16)
        gw.lab.op("logicalunit", "delete", "--tid", 1, "--lun", 3, "--force")
        rsp, _ = i.finish(tag)
        assert rsp.status == 0 or rsp.sense()[0] == 0xA, rsp.sense()
    gw.lab.op("logicalunit", "delete", "--tid", 1, "--lun", 2, "--force")


if __name__ == "__main__":
    run(globals())
