#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=180
"""SANITIZE as initiators and administrators live with it: one that would take hours harms nobody (SBC-4 4.11)."""
import os
import struct

from _initiator import Closed, Initiator, TEST_UNIT_READY, attach, lun8, read10
from _suite import run

SANITIZING, NOT_THERE = (2, 0x041B), (5, 0x2500)
IMMED, AUSE = 0x80, 0x20
BLOCK_ERASE, EXIT = bytes((0x48, 2)) + bytes(8), bytes((0x48, 0x1F)) + bytes(8)
REQUEST_SENSE = bytes((3, 0, 0, 0, 252, 0))
LU_RESET = 5
HOURS = ("null", "null", "--bsopts", "size=512t")


def overwrite(i, lun, pattern, bits=0, count=1):
    """Sent, not waited for: its tag."""
    data = struct.pack(">BBH", count, 0, len(pattern)) + pattern
    cdb = struct.pack(">BB5xHB", 0x48, 1 | bits, len(data), 0)
    return i.command(cdb, write=len(data), data=data + bytes(-len(data) % 4), lun=lun, dsl=len(data))


def result(i, cdb, lun, read=0):
    rsp, data = i.finish(i.command(cdb, lun=lun, read=read))
    return rsp.sense() if rsp.status == 2 else rsp.status, data


def calm(i, lun):
    """Takes the unit attentions: what TEST UNIT READY says then."""
    for _ in range(5):
        r, _ = result(i, TEST_UNIT_READY, lun)
        if r == 0 or r[0] != 6:
            return r
    raise AssertionError("no end of unit attentions")


def with_lun(gw, n, *what):
    gw.lab.lun(1, n, *what)


def without_lun(gw, n):
    gw.lab.op("logicalunit", "delete", "--tid", 1, "--lun", n, "--force")


def test_the_medium_holds_the_pattern(gw):
    path = gw.lab.file("small", 1 << 20)
    with open(path, "r+b") as f:
        f.write(b"secret" * 10000)
    with_lun(gw, 2, path)
    with attach(gw.addr, gw.target) as i:
        assert calm(i, 2) == 0
        rsp, _ = i.finish(overwrite(i, 2, b"\xa5\x5a\x11", count=3))
        assert rsp.status == 0, rsp.sense()
        rsp, data = i.read_blocks(2047, 1, lun=2)
        assert rsp.status == 0 and data == (b"\xa5\x5a\x11" * 171)[:512]
    without_lun(gw, 2)
    with open(path, "rb") as f:
        assert f.read() == (b"\xa5\x5a\x11" * 171)[:512] * 2048


def test_block_erase_deallocates(gw):
    path = gw.lab.file("thin", 4 << 20)
    with open(path, "r+b") as f:
        f.write(b"secret" * 500000)
    with_lun(gw, 2, path)
    with attach(gw.addr, gw.target) as i:
        assert calm(i, 2) == 0
        assert result(i, BLOCK_ERASE, 2)[0] == (5, 0x2400)
        gw.lab.op("logicalunit", "update", "--tid", 1, "--lun", 2, "--params", "thin_provisioning=1")
        assert calm(i, 2) == 0
        assert result(i, BLOCK_ERASE, 2)[0] == 0
    without_lun(gw, 2)
    assert os.stat(path).st_blocks == 0 and os.stat(path).st_size == 4 << 20


def test_it_goes_on_without_who_asked(gw):
    with_lun(gw, 2, *HOURS)
    with attach(gw.addr, gw.target, name="iqn.2026-11.test:other") as other:
        assert calm(other, 2) == 0
        with attach(gw.addr, gw.target) as i:
            assert calm(i, 2) == 0
            overwrite(i, 2, b"x")
            # The next one in order is taken when SANITIZE has been.
            assert result(i, TEST_UNIT_READY, 1)[0] == 0
            while calm(other, 2) == 0:
                pass
            tag = i.tmf(LU_RESET, lun=2)
            rsp, _ = i.finish(tag)
            assert rsp.response == 0
            assert calm(i, 2) == SANITIZING
            assert result(i, read10(0, 1), 2, read=512)[0] == SANITIZING
            assert result(i, EXIT, 2)[0] == SANITIZING
            assert result(i, REQUEST_SENSE, 2, read=252)[0] == 0
        assert calm(other, 2) == SANITIZING
        assert result(other, bytes((0x12, 0, 0, 0, 96, 0)), 2, read=96)[0] == 0
        _, sense = result(other, REQUEST_SENSE, 2, read=252)
        assert sense[2] == 2 and sense[12:14] == b"\x04\x1b" and sense[15] == 0x80, sense.hex()
        # Other LUNs are served as ever.
        for lba in range(64):
            rsp, _ = other.read_blocks(lba, 1)
            assert rsp.status == 0
        without_lun(gw, 2)
        assert calm(other, 2) == NOT_THERE


def test_the_lun_is_deleted_meanwhile(gw):
    for bits in (0, IMMED, IMMED | AUSE):
        with_lun(gw, 2, *HOURS)
        with attach(gw.addr, gw.target) as i, attach(gw.addr, gw.target, name="iqn.2026-11.test:other") as other:
            assert calm(i, 2) == 0
            tag = overwrite(i, 2, b"x", bits)
            if bits:
                assert i.finish(tag)[0].status == 0
            while calm(other, 2) == 0:
                pass
            without_lun(gw, 2)
            if not bits:
                assert i.finish(tag)[0].status == 0x40
            assert calm(other, 2) == NOT_THERE


def test_many_at_once(gw):
    for n in range(2, 10):
        with_lun(gw, n, *HOURS)
    with attach(gw.addr, gw.target) as i:
        for n in range(2, 10):
            assert calm(i, n) == 0
            assert i.finish(overwrite(i, n, b"x", IMMED))[0].status == 0
        for n in range(2, 10):
            assert calm(i, n) == SANITIZING
        rsp, _ = i.read_blocks(0, 8)
        assert rsp.status == 0
    for n in range(2, 9):
        without_lun(gw, n)
    # One is left: the gateway ends with it.


run(globals())
