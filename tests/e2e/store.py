#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What initiators are told about the store behind a LUN: its cache, its blocks, its end of space, its losses."""
# runner: timeout=120
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

from _store_lab import (LBA_RANGE, MIB, MODE_CHANGED, NOT_READY, READ_ERROR, READ_ONLY, SPACE, WRITE_ERROR, attentions,
                        caching, capacity, command, each_engine, ext4, flush, loop_on, lun, may_mount, own_mounts, read,
                        run_each_engine, run_shadow, session, set_wce, sparse, tmpfs, unmap, write, write_fua, write_same)
from lab import SCALE, Refused, wait_for
from tap import Skip, case, need

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../proto"))
from _initiator import Closed  # noqa: E402


def refused(lab, words, path, flags="", *args):
    """A LUN that cannot be: one sentence that has these words."""
    try:
        with lun(lab, 2, path, flags, *args):
            pass
    except Refused as r:
        need(words in r.err and len(r.err.strip().splitlines()) == 1, r.err)
        return
    raise AssertionError(f"{path} {flags} {args} is not refused")


# --- what a LUN says of itself ---


def write_cache(dev):
    """Has the disk a cache?"""
    with open(f"/sys/block/{os.path.basename(dev)}/queue/write_cache", encoding="ascii") as f:
        return f.read().strip() == "write back"


@each_engine("WCE, DPOFUA and WP say what the store does")
def _(lab):
    path = lab.file("mode", 8 * MIB)
    with contextlib.ExitStack() as stack:
        stores = [(path, flags, "sync" not in flags) for flags in ("", "sync", "direct", "sync:direct")]
        if os.geteuid() == 0:
            dev = stack.enter_context(loop_on(sparse(lab.path("disk"), 8 * MIB)))
            stores += [(dev, "", True), (dev, "sync", False), (dev, "direct", write_cache(dev))]
        for store, flags, wce in stores:
            what = f"{store} {flags}"
            with lun(lab, 2, store, flags), session(lab, 2) as i:
                now, device = caching(i)
                need(bool(now & 4) == wce, f"{what}: WCE is {now & 4}")
                need(bool(caching(i, 1)[0] & 4) == wce, f"{what}: changeable is {caching(i, 1)[0]:#x}")
                need(device == 0x10, f"{what}: device-specific parameter {device:#x}")
                need(write(i, 0, bytes(4096)) is None and flush(i) is None, f"{what}: a write and a flush")


@each_engine("a cache that is switched off stays a cache that can be switched on, and others are told")
def _(lab):
    with lun(lab, 2, lab.file("mode", 8 * MIB)), session(lab, 2) as i, session(lab, 2, name="iqn.2026-11.test:b") as j:
        for wce in (0, 4, 0):
            need(set_wce(i, wce) is None, "MODE SELECT")
            need(caching(i)[0] & 4 == wce, f"WCE is not {wce}")
            need(caching(i, 1)[0] & 4, "WCE is not changeable any more")
            need(write(i, 0, bytes(4096)) is None, "a write")
            need(attentions(j) == [MODE_CHANGED], "the other initiator does not hear of it")


def disk_stat(dev):
    """(sectors written, flushes) of a block device."""
    with open(f"/sys/block/{os.path.basename(dev)}/stat", encoding="ascii") as f:
        fields = f.read().split()
    return int(fields[6]), int(fields[15])


# flags → what makes it durable (None: nothing), as (words, function of the session)
DURABLE = (
    ("", "a write in the cache", None),
    ("", "FUA", lambda i: write_fua(i, 64, bytes([7]) * 4096)),
    ("", "SYNCHRONIZE CACHE", lambda i: write(i, 64, bytes([7]) * 4096) or flush(i)),
    ("", "WCE off", lambda i: set_wce(i, 0) or write(i, 64, bytes([7]) * 4096)),
    ("direct", "FUA", lambda i: write_fua(i, 64, bytes([7]) * 4096)),
    ("direct", "WCE off", lambda i: set_wce(i, 0) or write(i, 64, bytes([7]) * 4096)),
    ("sync", "a write", lambda i: write(i, 64, bytes([7]) * 4096)),
    ("sync", "WRITE SAME", lambda i: write_same(i, 64, 8, 7)),
    ("sync:direct", "a write", lambda i: write(i, 64, bytes([7]) * 4096)),
)


def durable(lab, store, dev):
    for flags, what, act in DURABLE:
        what = f"{store} {flags}: {what}"
        with lun(lab, 2, store, flags), session(lab, 2) as i:
            need(flush(i) is None, what)
            sectors, flushes = disk_stat(dev)
            sense = act(i) if act else write(i, 64, bytes(4096))
            after = disk_stat(dev)
            need(sense is None, f"{what}: {sense}")
            if not act:
                need(after[1] == flushes, f"{what}: the disk was flushed")
                continue
            need(after[0] >= sectors + 8, f"{what}: the disk has not been written to")
            need(after[1] > flushes, f"{what}: the disk has not been flushed")


@each_engine("write-through: when a write is GOOD the disk below has it, and was flushed")
def _(lab):
    may_mount()
    with loop_on(sparse(lab.path("disk"), 8 * MIB)) as dev:
        if not write_cache(dev):
            raise Skip("this loop device has no cache to be flushed")
        durable(lab, dev, dev)
    with ext4(lab, 16 * MIB) as (path, dev):
        store = os.path.join(path, "disk")
        with open(store, "wb") as f:
            f.write(bytes(4 * MIB))
            os.fsync(f.fileno())
        durable(lab, store, dev)


# --- read-only ---


def read_only(lab, path):
    with lun(lab, 2, path, "", "--params", "readonly=1"), session(lab, 2) as i:
        need(caching(i)[1] & 0x80, "WP is 0")
        for what, sense in (("WRITE", write(i, 0, bytes(512))), ("UNMAP", unmap(i, 0, 8)),
                            ("WRITE SAME", write_same(i, 0, 8))):
            need(sense == READ_ONLY or (what == "UNMAP" and sense), f"{what}: {sense}")
        need(read(i, 0, 8) == (None, b"\x33" * 4096), "a read")


@each_engine("a read-only LUN says so, refuses writes, and leaves the file alone")
def _(lab):
    path = lab.path("mode")
    with open(path, "wb") as f:
        f.write(b"\x33" * MIB)
    read_only(lab, path)
    with lun(lab, 2, path), session(lab, 2) as i:
        for readonly in (1, 0, 1):
            lab.op("logicalunit", "update", "--tid", 1, "--lun", 2, "--params", f"readonly={readonly}")
            need(attentions(i) == [MODE_CHANGED], "the initiator does not hear of it")
            need(bool(caching(i)[1] & 0x80) == bool(readonly), f"WP with readonly={readonly}")
            need(write(i, 0, b"\x44" * 512) == (READ_ONLY if readonly else None), f"a write with readonly={readonly}")
            need(read(i, 1, 8) == (None, b"\x33" * 4096), "a read")
    with open(path, "rb") as f:
        need(f.read() == b"\x44" * 512 + b"\x33" * (MIB - 512), "the file")


@each_engine("stores that cannot be written: a read-only disk, a read-only file system, a disk that becomes read-only")
def _(lab):
    may_mount()
    path = lab.path("disk")
    with open(path, "wb") as f:
        f.write(b"\x33" * MIB)
    with loop_on(path, "-r") as dev:
        refused(lab, "cannot be written", dev)
        read_only(lab, dev)
    with ext4(lab, 6 * MIB) as (where, dev):
        shutil.copy(path, where)
        lab.run("mount", "-o", "remount,ro", where)
        refused(lab, "cannot open", os.path.join(where, "disk"))
        read_only(lab, os.path.join(where, "disk"))
    for flags in ("", "direct"):
        with loop_on(path) as dev, lun(lab, 2, dev, flags), session(lab, 2) as i:
            lab.run("blockdev", "--setro", dev)
            need(write(i, 0, bytes(512)) == READ_ONLY, "a write to a disk that became read-only")
            need(read(i, 0, 8)[0] is None, "a read")
            lab.run("blockdev", "--setrw", dev)
            need(write(i, 0, b"\x33" * 512) is None, "a write to a disk that can be written again")


# --- the end of space ---


def fill(i, step=64 << 10, end=8 * MIB):
    """Writes until the store is full: the LBA that failed first."""
    for off in range(0, end, step):
        sense = write(i, off // 512, b"\x5a" * step)
        if sense:
            need(sense == SPACE, f"at {off}: sense {sense}")
            return off // 512
    raise AssertionError("the store never was full")


def full(lab, where, flags, params=()):
    """The filler is somebody else's file."""
    filler = os.path.join(where, "filler")
    with open(filler, "wb") as f:
        f.write(bytes(256 << 10))
    with lun(lab, 2, sparse(os.path.join(where, "disk"), 8 * MIB), flags, *params), session(lab, 2) as i:
        lba = fill(i)
        need(lba > 0, "not even the first write succeeded")
        need(write(i, 16000, bytes([1]) * 4096) == SPACE, "a write elsewhere")
        need(write_same(i, 8192, 1024) == SPACE, "zeroes where there is nothing yet")
        need(write_same(i, 8192, 1024, 1) == SPACE, "WRITE SAME where there is nothing yet")
        need(read(i, 0, 8) == (None, b"\x5a" * 4096), "what was written is not there")
        need(write(i, 0, b"\x5b" * 4096) is None, "what has its space cannot be written any more")
        need(flush(i) is None, "a flush fails though nothing is lost")
        os.unlink(filler)
        # ext4 gives freed blocks out again when it has been told to write down that they are free.
        subprocess.run(["sync", "-f", where], check=True)
        need(write(i, lba, b"\x5a" * 4096) is None, "space that somebody else gave back is not used")
        if params:
            free_by_unmap(i, lba)
    os.unlink(os.path.join(where, "disk"))


def free_by_unmap(i, lba):
    while not write(i, lba, b"\x5a" * 65536):
        lba += 128
    need(unmap(i, 0, 512) is None, "UNMAP")
    need(flush(i) is None, "a flush")
    need(write(i, lba, b"\x5c" * 65536) is None, "space that was given back is not used")
    need(read(i, lba, 128) == (None, b"\x5c" * 65536) and read(i, 0, 8) == (None, bytes(4096)), "reads")


THIN = ("--params", "thin_provisioning=1")


@each_engine("a full tmpfs is 07/27/07 until space is given back, thin or not")
def _(lab):
    with tmpfs(lab, "2m") as where:
        for params in ((), THIN):
            full(lab, where, "", params)


@each_engine("a full ext4 is 07/27/07 until space is given back: thin or not, cached, synced and direct")
def _(lab):
    with ext4(lab, 4 * MIB) as (where, _dev):
        for flags, params in (("", ()), ("", THIN), ("sync", THIN), ("direct", ()), ("direct", THIN)):
            full(lab, where, flags, params)


# --- blocks that are larger, memory that is not aligned ---


@each_engine("direct I/O, data in odd pieces: every neighbour stays as it was")
def _(lab):
    may_mount()
    with loop_on(sparse(lab.path("disk"), 2 * MIB)) as dev:
        run_shadow(lab, dev, "direct")
    with ext4(lab, 8 * MIB) as (where, _dev):
        path = sparse(os.path.join(where, "disk"), 2 * MIB)
        need(run_shadow(lab, path, "direct", seed=2), "the LUN cannot give space back")


@each_engine("cached I/O, data in odd pieces: every neighbour stays as it was")
def _(lab):
    for where in (lab.dir, "/dev/shm"):
        with tempfile.TemporaryDirectory(prefix="lgt-store.", dir=where) as d:
            run_shadow(lab, sparse(os.path.join(d, "disk"), 2 * MIB), seed=3)


@each_engine("a disk of 4096-byte blocks: small blocks through the cache, a clear refusal with direct I/O")
def _(lab):
    may_mount()
    path = sparse(lab.path("disk4k"), 2 * MIB)
    with loop_on(path, "-b", "4096") as dev:
        run_shadow(lab, dev, seed=4)
        run_shadow(lab, dev, "sync", steps=40, seed=5)
        refused(lab, "4096 bytes", dev, "direct")
        with lun(lab, 2, dev, "direct", "--blocksize", 4096), session(lab, 2) as i:
            need(write(i, 1, b"\3" * 4096, bs=4096) is None, "a write of a whole block")
            need(read(i, 1, 1, bs=4096) == (None, b"\3" * 4096), "a read of a whole block")
    with ext4(lab, 8 * MIB, loop=("-b", "4096")) as (where, _dev):
        path = sparse(os.path.join(where, "disk"), 2 * MIB)
        refused(lab, "4096 bytes", path, "direct")
        run_shadow(lab, path, steps=40, seed=6)


@each_engine("a file that ends within a block: the LUN has the whole ones, and the rest is left alone")
def _(lab):
    for flags in ("", "direct", "sync"):
        path = lab.path("odd")
        with open(path, "wb") as f:
            f.write(b"\x11" * (MIB + 300))
        with lun(lab, 2, path, flags), session(lab, 2) as i:
            need(capacity(i) == MIB, f"{flags}: {capacity(i)} bytes")
            need(write(i, 2040, b"\x22" * 4096) is None and flush(i) is None, "a write of the last blocks")
            need(read(i, 2040, 8) == (None, b"\x22" * 4096), "a read of the last blocks")
            need(write(i, 2048, bytes(512)) == LBA_RANGE and read(i, 2047, 2)[0] == LBA_RANGE, "beyond the end")
        with open(path, "rb") as f:
            need(f.read() == b"\x11" * (MIB - 4096) + b"\x22" * 4096 + b"\x11" * 300, "the file")


# --- sparse files ---


def used(path):
    """Bytes on the disk, all that is under way counted."""
    with open(path, "rb") as f:
        os.fsync(f.fileno())
    return os.stat(path).st_blocks * 512


def punch(lab, store, path):
    """store is, or lies on, the sparse file at path, and is all holes."""
    with lun(lab, 2, store, "", *THIN), session(lab, 2) as i:
        empty = used(path)
        for lba in range(0, 16384, 256):
            sense, data = read(i, lba, 256)
            need(sense is None and data == bytes(131072), "a hole is not zeroes")
        need(used(path) <= empty + 65536, f"{store}: reading filled {used(path) - empty} bytes")
        for lba in range(0, 16384, 256):
            need(write(i, lba, b"\x66" * 131072) is None, "a write")
        need(flush(i) is None, "a flush")
        whole = used(path)
        need(whole >= 8 * MIB, f"{store}: only {whole} bytes are there")
        need(read(i, 4096, 256)[1] == b"\x66" * 131072, "a read")
        need(unmap(i, 4096, 4096) is None and flush(i) is None, "UNMAP")
        need(used(path) <= whole - 2 * MIB, f"{store}: UNMAP gave {whole - used(path)} bytes back")
        need(write_same(i, 8192, 4096, may_unmap=True) is None and flush(i) is None, "WRITE SAME")
        need(used(path) <= whole - 4 * MIB, f"{store}: WRITE SAME gave {whole - used(path)} bytes back")
        for lba in (4096, 8191, 12288 - 256):
            need(read(i, lba, 256) == (None, bytes(131072)), f"zeroes at {lba}")
        need(read(i, 4095, 1)[1] + read(i, 12288, 1)[1] == b"\x66" * 1024, "the neighbours")
        need(used(path) <= whole - 4 * MIB + 65536, f"{store}: reading filled the holes again")


@each_engine("UNMAP and WRITE SAME punch holes, which read as zeroes and stay holes when read")
def _(lab):
    path = sparse(lab.path("sparse"), 8 * MIB)
    punch(lab, path, path)
    with tempfile.TemporaryDirectory(prefix="lgt-store.", dir="/dev/shm") as d:
        path = sparse(os.path.join(d, "disk"), 8 * MIB)
        punch(lab, path, path)
    if os.geteuid() == 0:
        path = sparse(lab.path("sparse"), 8 * MIB)
        with loop_on(path) as dev:
            punch(lab, dev, path)


# --- losses ---


class Cut:
    """A file under LUN n that somebody else cuts, and later makes as long as it was."""

    def __init__(self, lab, n, path, flags, digest, may_close):
        """may_close: what is sent from where it lies cannot be taken back, so the connection may be lost instead"""
        self.lab, self.n, self.path, self.digest, self.may_close = lab, n, path, digest, may_close
        self.name = f"LUN {n}, {digest}"
        with open(path, "wb") as f:
            f.write(b"\x77" * (4 * MIB))
        lab.lun(1, n, path, None, *(["--bsoflags", flags] if flags else []))
        self.i = self.session()
        for lba in range(0, 8192, 256):
            need(self.read(lba, 256) == (None, b"\x77" * 131072), f"{self.name}: a read")

    def session(self):
        return session(self.lab, self.n, self.digest, name=f"iqn.2026-11.test:cut{self.n}")

    def close(self):
        self.i.close()
        self.lab.op("logicalunit", "delete", "--tid", 1, "--lun", self.n)

    def read(self, lba, blocks):
        """As it is when the unit attentions, which come when they come, are taken."""
        sense = (6,)
        while sense and sense[0] == 6:
            sense, data = read(self.i, lba, blocks)
        return sense, data

    def write(self, lba, data):
        sense = (6,)
        while sense and sense[0] == 6:
            sense = write(self.i, lba, data)
        return sense

    def cut(self):
        os.truncate(self.path, MIB)
        for lba, blocks in ((4096, 8), (2044, 8), (2048, 128)):
            try:
                need(self.read(lba, blocks) == (LBA_RANGE, b""), f"{self.name}: {lba}: not refused")
            except Closed:
                need(self.may_close, f"{self.name}: {lba}: the connection was lost")
                self.i = self.session()
        need(self.read(2047, 1) == (None, b"\x77" * 512), f"{self.name}: what is left of the file")

    def learn(self, size):
        wait_for(lambda: capacity(self.i) == size, 10 * SCALE, f"{self.name}: the initiator learns the size {size}")

    def smaller(self):
        self.learn(MIB)
        need(self.read(2044, 8) == (LBA_RANGE, b""), f"{self.name}: a read beyond the new end")
        need(self.write(4096, bytes(4096)) == LBA_RANGE, f"{self.name}: a write beyond the new end")
        need(os.stat(self.path).st_size == MIB, f"{self.name}: the file has grown")
        os.truncate(self.path, 4 * MIB)

    def whole(self):
        self.learn(4 * MIB)
        need(self.read(2047, 1) == (None, b"\x77" * 512), f"{self.name}: what was left of the file")
        need(self.read(2048, 128) == (None, bytes(65536)), f"{self.name}: what is there now")
        need(self.write(2048, b"\x78" * 65536) is None, f"{self.name}: a write")
        need(self.read(2048, 128) == (None, b"\x78" * 65536), f"{self.name}: what was written")


@each_engine("a file that somebody else cuts: sense, a smaller LUN, and a gateway that lives")
def _(lab):
    with contextlib.ExitStack() as stack:
        memory = stack.enter_context(tempfile.TemporaryDirectory(prefix="lgt-store.", dir="/dev/shm"))
        other = stack.enter_context(session(lab, 1, name="iqn.2026-11.test:other"))
        cuts = []
        for where, flags, digest in ((lab.dir, "", "DataDigest=None"), (lab.dir, "", "DataDigest=CRC32C"),
                                     (lab.dir, "direct", "DataDigest=None"), (memory, "", "DataDigest=None"),
                                     (memory, "", "DataDigest=CRC32C")):
            n = 2 + len(cuts)
            cuts.append(Cut(lab, n, os.path.join(where, f"cut{n}"), flags, digest, may_close=where == memory))
            stack.callback(cuts[-1].close)
        for step in (Cut.cut, Cut.smaller, Cut.whole):
            for c in cuts:
                step(c)
        attentions(other)
        need(read(other, 0, 8)[0] is None, "the other session")


@each_engine("a file in memory that is cut while much of it is being read")
def _(lab):
    pid = lab.gateway.proc.pid
    with tempfile.TemporaryDirectory(prefix="lgt-store.", dir="/dev/shm") as d:
        path = os.path.join(d, "cut")
        for digest in ("DataDigest=None", "DataDigest=CRC32C") * 2:
            with open(path, "wb") as f:
                f.write(b"\x77" * (4 * MIB))
            with lun(lab, 2, path), session(lab, 2, digest) as i:
                itts = [i.command(bytes([0x28, 0, 0, 0, lba >> 8, 0, 0, 1, 0, 0]), read=131072, lun=2)
                        for lba in range(0, 8192, 256)]
                os.truncate(path, 4096)
                with contextlib.suppress(Closed):
                    for itt in itts:
                        rsp, data = i.finish(itt)
                        # What was on its way when the file was cut may be either.
                        need(rsp.status or not data.strip(b"\0\x77"), "other people's data")
    need(lab.gateway.alive() and lab.gateway.proc.pid == pid, "the gateway")


@case("a store that goes away and comes back")
def _(lab, *_others):
    path = lab.file("zero", 4 * MIB)
    with lun(lab, 2, path), session(lab, 2) as i:
        os.truncate(path, 0)
        wait_for(lambda: command(i, bytes(6))[0] == NOT_READY, 10 * SCALE, "the LUN says that it has no store")
        need(read(i, 0, 8)[0] == NOT_READY and write(i, 0, bytes(512)) == NOT_READY, "I/O meanwhile")
        os.truncate(path, 4 * MIB)
        wait_for(lambda: not command(i, bytes(6))[0], 20 * SCALE, "the LUN has its store again")
        need(read(i, 0, 8) == (None, bytes(4096)), "a read")


@each_engine("a disk that fails a transfer has a sense of its own, and goes on where it can")
def _(lab):
    may_mount()
    path = sparse(lab.path("disk"), 4 * MIB)
    with loop_on(path) as dev:
        for flags in ("", "direct", "sync"):
            os.truncate(path, 4 * MIB)
            with lun(lab, 2, dev, flags), session(lab, 2) as i:
                os.truncate(path, MIB)
                need(read(i, 0, 8)[0] is None, "a read of what is there")
                for lba, blocks in ((4096, 8), (2044, 8), (6000, 128)):
                    need(read(i, lba, blocks)[0] == READ_ERROR, f"{flags}: a read that the disk fails")
                need(read(i, 2040, 8)[0] is None, "a read of what is there")


@each_engine("a flush that lost data fails for good, for everybody, and reads live on")
def _(lab):
    with tmpfs(lab, "1m") as where:
        with loop_on(sparse(os.path.join(where, "disk"), 8 * MIB)) as dev, lun(lab, 2, dev):
            with session(lab, 2) as i, session(lab, 2, name="iqn.2026-11.test:other") as j:
                for off in range(0, 4 * MIB, 256 << 10):
                    need(write(i, off // 512, b"\x5a" * (256 << 10)) is None, "the cache takes it")
                first = flush(i)
                need(first in (WRITE_ERROR, SPACE), f"the flush says {first}")
                for who in (i, j):
                    need(flush(who) == WRITE_ERROR, "a later flush")
                    need(write_fua(who, 0, bytes(512)) == WRITE_ERROR, "a later durable write")
                need(read(i, 0, 8)[0] is None, "a read")


@each_engine("a full disk below direct I/O: no write is GOOD that is not there")
def _(lab):
    with tmpfs(lab, "1m") as where:
        with loop_on(sparse(os.path.join(where, "disk"), 8 * MIB)) as dev, lun(lab, 2, dev, "direct"):
            with session(lab, 2) as i:
                good = []
                for lba in range(0, 8192, 512):
                    sense = write(i, lba, b"\x5a" * (256 << 10))
                    need(sense in (None, SPACE, WRITE_ERROR), f"sense {sense}")
                    good += [] if sense else [lba]
                need(0 < len(good) <= 4, f"{len(good)} writes of 256 KiB fit into 1 MiB")
                for lba in good:
                    need(read(i, lba, 512) == (None, b"\x5a" * (256 << 10)), f"what was written at {lba}")


if __name__ == "__main__":
    own_mounts()
    sys.exit(run_each_engine())
