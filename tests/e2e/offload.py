#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A GiB from one LUN to another, by EXTENDED COPY and by tokens: the data stays in the gateway, and so do other people's LUNs."""
# runner: timeout=240
import os
import struct
import sys

import _path  # noqa: F401
from lab import SCALE, STANDIN, Lab, require_built
from tap import case, need, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../proto"))
import xcopy  # noqa: E402
from _initiator import LOGIN_RSP  # noqa: E402

MIB = 1 << 20
SIZE, BLOCK = 1 << 30, 512
BLOCKS = SIZE // BLOCK
GOOD, CHECK = 0, 2
UNREACHABLE, UNKNOWN_TOKEN = (0xA, 0x0D02), (5, 0x2304)
THIRD_PARTY, PROTECTED = (0xA, 0x0D01), (7, 0x2700)
ENDED_WELL = 1
WIRE_MAX = 128 << 10  # bytes that the commands for a GiB may take
TOKEN = 512


NAME = "iqn.2026-11.test:copy"


class Host:
    """A session that knows how many bytes have gone over its connection."""

    def __init__(self, lab, tid=1):
        host, port = lab.portal.rsplit(":", 1)
        self.ini = xcopy.Counted((host, int(port)), name=NAME, timeout=60 * SCALE)
        rsp = self.ini.login(lab.iqn(tid))
        need(rsp.opcode == LOGIN_RSP and rsp.bhs[36:38] == b"\0\0", "login refused")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ini.close()

    def end(self, tag):
        rsp, data = self.ini.finish(tag)
        return (rsp.sense() if rsp.status == CHECK else rsp.status), data

    def read(self, cdb, n, lun):
        status, data = self.end(self.ini.command(cdb, read=n, lun=lun))
        need(status == GOOD, f"{cdb.hex()}: {status}")
        return data

    def xcopy(self, lun, names, segments):
        return self.end(xcopy.xcopy(self.ini, lun, names, segments))[0]

    # Tokens, as Windows uses them.

    def limits(self, lun):
        """(ranges, blocks of a token, blocks of a write) of the first descriptor of VPD page 8Fh."""
        page = self.read(struct.pack(">BBBHx", 0x12, 1, 0x8F, 1024), 1024, lun)
        need(page[1] == 0x8F and page[4:8] == b"\0\0\0\x20", f"no limits for tokens: {page.hex()}")
        return struct.unpack(">10xH8xQQ", page[4:40])

    def token_command(self, action, list_id, data, lun):
        cdb = struct.pack(">BB4xII2x", 0x83, action, list_id, len(data))
        return self.end(self.ini.command(cdb, write=len(data), data=data, lun=lun))[0]

    def token_info(self, list_id, lun):
        """(COPY OPERATION STATUS, TRANSFER COUNT, what follows the sense data)"""
        data = self.read(struct.pack(">BBI4xI2x", 0x84, 7, list_id, 1024), 1024, lun)
        return data[5], struct.unpack(">Q", data[16:24])[0], data[32 + data[13]:]

    def populate(self, lun, lba, n):
        r = struct.pack(">QI4x", lba, n)
        need(self.token_command(0x10, 1, struct.pack(">H12xH", 14 + len(r), len(r)) + r, lun) == GOOD, "POPULATE TOKEN")
        status, done, rest = self.token_info(1, lun)
        need((status, done) == (ENDED_WELL, n), f"POPULATE TOKEN: {status}, {done} blocks of {n}")
        need(rest[:6] == struct.pack(">IH", 2 + TOKEN, 0) and len(rest) == 6 + TOKEN, rest[:6].hex())
        return rest[6:]

    def write_token(self, lun, token, offset, lba, n):
        r = struct.pack(">QI4x", lba, n)
        data = struct.pack(">H6xQ512s6xH", 534 + len(r), offset, token, len(r)) + r
        return self.token_command(0x11, 2, data, lun)


class Disks(Lab):
    """Target 1 has the source, LUN 1, and a place to copy it to, LUN 2; target 2 has a LUN of its own."""

    def __enter__(self):
        super().__enter__()
        self.source = self.file("source", SIZE)
        scatter(self.source)
        for tid in (1, 2):
            self.target(tid)
        self.lun(1, 1, self.source)
        self.other = self.file("other", MIB)
        scatter(self.other)
        self.lun(2, 1, self.other)
        return self

    def fresh(self):
        """An empty LUN 2."""
        if hasattr(self, "copy"):
            self.op("logicalunit", "delete", "--tid", 1, "--lun", 2)
            os.unlink(self.copy)
        self.copy = self.file("copy", SIZE)
        self.lun(1, 2, self.copy)


def scatter(path):
    """Random bytes at both ends and in each MiB, where no two pieces begin at the same place in theirs."""
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for at in range(0, size, MIB):
            f.seek(at + at // MIB * 7919 % (MIB - (64 << 10)))
            f.write(os.urandom(64 << 10))
        for at in (0, size - 4096):
            f.seek(at)
            f.write(os.urandom(4096))


def contents(path):
    with open(path, "rb") as f:
        return f.read()


def same(a, b):
    with open(a, "rb") as f, open(b, "rb") as g:
        for at in range(0, SIZE, MIB):
            need(f.read(MIB) == g.read(MIB), f"what is from byte {at} on differs")
        need(not f.read(1) and not g.read(1), "the files have grown")


def session(lab, *luns):
    host = Host(lab)
    for lun in luns:
        xcopy.ready(host.ini, lun)
    return host


@case("EXTENDED COPY: a GiB, of which nothing travels")
def _(lab):
    lab.fresh()
    with session(lab, 1, 2) as h:
        names = [xcopy.naa(h.ini, 1), xcopy.naa(h.ini, 2)]
        before = h.ini.wire
        # RECEIVE COPY OPERATING PARAMETERS: how many segments, how long.
        p = h.read(struct.pack(">BB8xI2x", 0x84, 3, 64), 64, 1)
        count, longest = struct.unpack(">10xH4xI", p[:20])
        # 4 MiB each, one at a time, as hypervisors do; then as much as a command may ask for.
        at = 0
        while at < BLOCKS:
            n = min(longest // BLOCK, 0xFFFF) if at >= BLOCKS // 4 else 4 * MIB // BLOCK
            segments = []
            while at < BLOCKS and len(segments) < (count if at >= BLOCKS // 4 else 1):
                segments.append(xcopy.segment(0, 1, min(n, BLOCKS - at), at, at))
                at += min(n, BLOCKS - at)
            got = h.xcopy(1, names, segments)
            need(got == GOOD, f"up to block {at}: {got}")
        need(h.ini.wire - before < WIRE_MAX, f"{h.ini.wire - before} bytes went over the wire")
    same(lab.source, lab.copy)


@case("POPULATE TOKEN, WRITE USING TOKEN: a GiB, of which nothing travels")
def _(lab):
    lab.fresh()
    with session(lab, 1, 2) as h:
        before = h.ini.wire
        ranges, longest, best = h.limits(1)
        need(ranges and best and best <= longest < BLOCKS, f"limits: {ranges}, {longest}, {best}")
        for lba in range(0, BLOCKS, longest):
            total = min(longest, BLOCKS - lba)
            token = h.populate(1, lba, total)
            for offset in range(0, total, best):
                n = min(best, total - offset)
                got = h.write_token(2, token, offset, lba + offset, n)
                need(got == GOOD, f"block {lba + offset}: {got}")
                need(h.token_info(2, 2)[:2] == (ENDED_WELL, n), "what became of it")
        need(h.ini.wire - before < WIRE_MAX, f"{h.ini.wire - before} bytes went over the wire")
    same(lab.source, lab.copy)


def refused_both_ways(lab, h, lun, name, stranger):
    """The session reaches that LUN, but not the one by the other name, as source or destination."""
    for a, b in ((0, 1), (1, 0)):
        got = h.xcopy(lun, [name, stranger], [xcopy.segment(a, b, 8, 0, 0)])
        need(got == UNREACHABLE, f"{a} to {b}: {got}")


@case("a LUN of another target is neither read nor written")
def _(lab):
    before = contents(lab.other), os.stat(lab.copy)
    with session(lab, 1, 2) as h, Host(lab, tid=2) as stranger:
        xcopy.ready(stranger.ini, 1)
        other = xcopy.naa(stranger.ini, 1)
        refused_both_ways(lab, h, 2, xcopy.naa(h.ini, 2), other)
        token = stranger.populate(1, 0, 8)
        got = h.write_token(2, token, 0, 0, 8)
        need(got == UNKNOWN_TOKEN, f"another target's token: {got}")
        # It is good where its LUN is seen.
        need(stranger.write_token(1, token, 0, 8, 8) == GOOD, "its own target's token")
        token = h.populate(1, 0, 8)
        got = stranger.write_token(1, token, 0, 0, 8)
        need(got == UNKNOWN_TOKEN, f"a token at another target: {got}")
    after = contents(lab.other)
    need(after[:4096] == before[0][:4096] and after[8192:] == before[0][8192:], "the other target's LUN has changed")
    need(after[4096:8192] == after[:4096], "its own copy")
    need(os.stat(lab.copy).st_mtime_ns == before[1].st_mtime_ns, "something was written")
    same(lab.source, lab.copy)


@case("what a map hides is neither read nor written, and what it protects is not written")
def _(lab):
    with session(lab, 1, 2) as h:
        names = [xcopy.naa(h.ini, 1), xcopy.naa(h.ini, 2)]
        hidden = h.populate(1, 0, 8)
    before = os.stat(lab.source), os.stat(lab.copy)
    mapped = ("--tid", 1, "--initiator-name", NAME, "--params")
    lab.op("target", "bind", *mapped, "luns=5=2")
    with session(lab, 5) as h:
        refused_both_ways(lab, h, 5, names[1], names[0])
        got = h.write_token(5, hidden, 0, 0, 8)
        need(got == UNKNOWN_TOKEN, f"a hidden LUN's token: {got}")
    lab.op("target", "bind", *mapped, "luns=1=1,2=2/ro")
    with session(lab, 1, 2) as h:
        got = h.xcopy(1, names, [xcopy.segment(0, 1, 8, 0, 0)])
        need(got == THIRD_PARTY, f"a copy to what is read-only: {got}")
        got = h.write_token(2, h.populate(1, 0, 8), 0, 0, 8)
        need(got == PROTECTED, f"a token written to what is read-only: {got}")
    lab.op("target", "unbind", *mapped, "luns")
    for path, was in ((lab.source, before[0]), (lab.copy, before[1])):
        need(os.stat(path).st_mtime_ns == was.st_mtime_ns, f"{path} was written")
    with session(lab, 1, 2) as h:
        need(h.xcopy(1, names, [xcopy.segment(0, 1, 8, 0, 0)]) == GOOD, "and without a map")


require_built()
if STANDIN:
    print("the stand-in knows no copies")
    raise SystemExit(77)
with Disks() as lab_:
    failed = run(lab_)
raise SystemExit(failed)
