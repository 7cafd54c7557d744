#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""LUNs on device mapper: what it maps, lets fail, holds up, and runs out of."""
# runner: timeout=120
import contextlib
import os
import shutil
import subprocess
import sys

from _store_lab import (CAPACITY_CHANGED, MIB, READ_ERROR, SPACE, WRITE_ERROR, attentions, capacity, each_engine,
                        flush, loop_on, lun, own_mounts, read, run_each_engine, run_shadow, session, sparse, write,
                        write_fua)
from lab import SCALE, wait_for
from tap import Skip, need

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../proto"))
from _initiator import DATA_IN, SCSI_RSP, read10, write10  # noqa: E402

NAME = f"lgt-test-{os.getpid()}"


def targets():
    """What this kernel's device mapper can do; nothing at all without it."""
    p = subprocess.run(["dmsetup", "targets"], capture_output=True, text=True, check=False)
    return [] if p.returncode else [line.split()[0] for line in p.stdout.splitlines()]


def there(target):
    if target not in targets():
        raise Skip(f"this kernel's device mapper has no {target}")


def dmsetup(*args, table=None):
    p = subprocess.run(["dmsetup", *args], input=table, capture_output=True, text=True, check=False)
    need(p.returncode == 0, f"dmsetup {args} {table}: {p.stderr}")
    return p.stdout.strip()


@contextlib.contextmanager
def mapped(table, name=NAME):
    dmsetup("create", name, table=table)
    try:
        yield "/dev/dm-" + dmsetup("info", "-c", "--noheadings", "-o", "minor", name)
    finally:
        dmsetup("remove", "--retry", name)


@contextlib.contextmanager
def disk(lab, size):
    with loop_on(sparse(lab.path("disk"), size)) as dev:
        yield dev


def remap(table):
    """Another table under who has the device open."""
    dmsetup("reload", NAME, table=table)
    dmsetup("suspend", "--noflush", "--nolockfs", NAME)
    dmsetup("resume", NAME)


def fails_writes(dev):
    return f"0 8192 flakey {dev} 0 0 3600 1 error_writes\n"


def linear(dev, sectors):
    return f"0 {sectors} linear {dev} 2048\n"


@each_engine("a linear device, data in odd pieces: every neighbour stays as it was")
def _(lab):
    there("linear")
    with disk(lab, 4 * MIB) as dev, mapped(linear(dev, 4096)) as dm:
        run_shadow(lab, dm, "direct", steps=60)
        run_shadow(lab, dm, steps=60)


@each_engine("a device that grows is a LUN that grows")
def _(lab):
    there("linear")
    with disk(lab, 4 * MIB) as dev, mapped(linear(dev, 2048)) as dm, lun(lab, 2, dm), session(lab, 2) as i:
        need(capacity(i) == MIB, f"{capacity(i)} bytes")
        remap(linear(dev, 4096))
        wait_for(lambda: CAPACITY_CHANGED in attentions(i), 10 * SCALE, "the initiator is told")
        need(capacity(i) == 2 * MIB, f"{capacity(i)} bytes")
        need(write(i, 4088, b"\5" * 4096) is None and read(i, 4088, 8)[1] == b"\5" * 4096, "the new end")


@each_engine("a device with a hole of errors: own sense, and the rest goes on")
def _(lab):
    there("error")
    with disk(lab, 4 * MIB) as dev:
        table = f"0 2048 linear {dev} 0\n2048 2048 error\n4096 4096 linear {dev} 4096\n"
        for flags in ("direct", "sync", ""):
            with mapped(table) as dm, lun(lab, 2, dm, flags), session(lab, 2) as i:
                sense = read(i, 2048, 8)[0]
                need(sense == READ_ERROR, f"{flags}: a read that the disk fails: {sense}")
                need(write(i, 4096, bytes(4096)) is None and read(i, 4096, 8)[0] is None, f"{flags}: the rest")
                # A cache takes a page that it need not read first.
                sense = write(i, 2048, bytes(4096))
                if flags:
                    need(sense == WRITE_ERROR, f"{flags}: a write that the disk fails: {sense}")
                else:
                    need(sense is None and flush(i) == WRITE_ERROR, f"a flush that the disk fails after {sense}")


@each_engine("a disk that fails writes: what was lost in the cache stays lost, and a new LUN may try again")
def _(lab):
    there("flakey")
    with disk(lab, 4 * MIB) as dev:
        for flags in ("direct", "sync", "sync:direct"):
            with mapped(f"0 8192 linear {dev} 0\n") as dm, lun(lab, 2, dm, flags), session(lab, 2) as i:
                need(read(i, 64, 8)[0] is None, f"{flags}: a read")
                remap(fails_writes(dev))
                need(write(i, 0, bytes(4096)) == WRITE_ERROR, f"{flags}: a write")
                need(read(i, 64, 8)[0] is None, f"{flags}: a read of a disk that fails writes")
        with mapped(f"0 8192 linear {dev} 0\n") as dm:
            with lun(lab, 2, dm), session(lab, 2) as i:
                remap(fails_writes(dev))
                need(write(i, 0, bytes(4096)) is None, "the cache takes it")
                need(flush(i) == WRITE_ERROR, "the flush")
                remap(f"0 8192 linear {dev} 0\n")
                need(flush(i) == WRITE_ERROR and write_fua(i, 0, bytes(512)) == WRITE_ERROR, "what is lost is lost")
                need(read(i, 64, 8)[0] is None, "a read")
            with lun(lab, 2, dm), session(lab, 2) as i:
                need(write(i, 0, bytes(4096)) is None and flush(i) is None, "a new LUN on the mended disk")


def finish_all(i, itts):
    """Ends of commands in any order; all of them GOOD."""
    while itts:
        pdu = i.recv()
        need(pdu.opcode in (SCSI_RSP, DATA_IN) and pdu.status == 0, f"opcode {pdu.opcode:#x}, status {pdu.status}")
        if pdu.opcode == SCSI_RSP or pdu.flags & 1:
            itts.remove(pdu.itt)


@each_engine("a disk that holds a few commands up: the other LUNs and the administrator do not wait for it")
def _(lab):
    there("linear")
    for flags in ("direct", "", "sync"):
        with contextlib.ExitStack() as stack:
            dev = stack.enter_context(disk(lab, 4 * MIB))
            stack.enter_context(lun(lab, 2, stack.enter_context(mapped(linear(dev, 4096))), flags))
            i = stack.enter_context(session(lab, 2))
            # On either core, for one of them has the slow disk's commands.
            others = [stack.enter_context(session(lab, 1, name=f"iqn.2026-11.test:other{n}")) for n in range(4)]
            dmsetup("suspend", "--noflush", "--nolockfs", NAME)
            try:
                itts = [i.command(read10(2048, 8), read=4096, lun=2),
                        i.command(bytes([0x2a, 8]) + write10(0, 8)[2:], write=4096, data=bytes(4096), lun=2)]
                for other in others * 8:
                    need(write(other, 0, b"\1" * 4096) is None and flush(other) is None, f"{flags}: a write")
                    need(read(other, 0, 8) == (None, b"\1" * 4096), f"{flags}: a read")
                need(lab.tadm_code("--mode", "system", "--op", "show") == 0, f"{flags}: the administrator waits")
            finally:
                dmsetup("resume", NAME)
            finish_all(i, itts)


@each_engine("a thin pool that is full: 07/27/07, and what was written is there")
def _(lab):
    there("thin-pool")
    pool_name = NAME + "-pool"
    with loop_on(sparse(lab.path("meta"), 4 * MIB)) as meta, disk(lab, 2 * MIB) as dev, \
            mapped(f"0 4096 thin-pool {meta} {dev} 128 0 1 error_if_no_space\n", pool_name) as pool:
        for number, flags in enumerate(("direct", "sync", "")):
            dmsetup("message", pool_name, "0", f"create_thin {number}")
            with mapped(f"0 16384 thin {pool} {number}\n") as dm:
                with lun(lab, 2, dm, flags), session(lab, 2) as i:
                    thin(i, flags)
            dmsetup("message", pool_name, "0", f"delete {number}")


def thin(i, flags):
    good, bad = [], None
    for lba in range(0, 16384, 256):
        sense = write(i, lba, b"\x5a" * 131072) or (None if flags else flush(i))
        if sense:
            # Of what a block device's cache could not write the kernel only says that it failed.
            need(sense == SPACE or (flags != "direct" and sense == WRITE_ERROR), f"{flags}: at {lba}: {sense}")
            bad = lba
            break
        good.append(lba)
    need(bad and 4 <= len(good) <= 16, f"{flags}: {len(good)} writes of 128 KiB fit into 2 MiB")
    for lba in good:
        need(read(i, lba, 256) == (None, b"\x5a" * 131072), f"{flags}: what was written at {lba}")


if __name__ == "__main__":
    own_mounts()
    if os.geteuid() != 0 or not shutil.which("dmsetup") or not targets():
        print("no device mapper here: root, dmsetup and a kernel that has it")
        sys.exit(77)
    sys.exit(run_each_engine())
