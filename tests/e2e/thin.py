#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A thin LUN whose store fills up: initiators are warned, then refused, and go on when there is space again."""
# runner: timeout=120
import os
import struct
import sys

from _store_lab import MIB, SPACE, attentions, command, each_engine, lun, own_mounts, read, run_each_engine, session, \
    sparse, tmpfs, unmap, write
from lab import wait_for
from tap import need

MODE_CHANGED = (6, 0x2a, 0x01)
THRESHOLD = (6, 0x38, 0x07)
POOL, DISK, PERCENT = 16, 64, 50  # MiB, MiB, of the pool


def resources(i):
    """(available, used) MiB, as the logical block provisioning log page tells them."""
    sense, data = command(i, struct.pack(">BBB4xHx", 0x4d, 0, 0x40 | 0x0c, 255), 255)
    need(sense is None and data[0] & 0x3f == 0x0c, f"LOG SENSE: {sense} {data.hex()}")
    need(struct.unpack(">H", data[2:4])[0] == 24, data.hex())
    return struct.unpack(">I", data[8:12])[0], struct.unpack(">I", data[20:24])[0]


def threshold(i):
    """(enabled, MiB that are to be available)"""
    sense, data = command(i, [0x1a, 8, 0x1c, 2, 255, 0], 255)
    need(sense is None and data[4:8] == b"\x5c\x02\0\x14", f"MODE SENSE: {sense} {data.hex()}")
    return bool(data[20] & 0x80), struct.unpack(">I", data[24:28])[0]


def fill(i, start, end):
    """Writes these MiB; where the store was full, or end."""
    for at in range(start, end):
        for part in range(4):
            sense = write(i, at * 2048 + part * 512, b"\x5a" * (256 << 10))
            if sense:
                need(sense == SPACE, f"at {at} MiB: {sense}")
                return at
    return end


def warned(*initiators):
    for i in initiators:
        def told(i=i):
            taken = attentions(i)
            need(taken in ([], [THRESHOLD]), taken)
            return taken
        wait_for(told, 30, "the threshold is not told")


def once(i, j):
    need(fill(i, 0, 9) == 9, "there is not as much space as there should be")
    warned(i, j)
    full = fill(i, 9, DISK)
    need(12 <= full <= POOL, f"full at {full} MiB of {POOL}")
    need(write(i, full * 2048 + 4096, b"\x5b" * 4096) == SPACE, "a write beyond the end of space")
    wait_for(lambda: resources(j)[0] == 0, 30, "the log page does not say that nothing is left")
    need(attentions(i) == attentions(j) == [], "the threshold is told twice")
    need(read(j, 0, 8) == (None, b"\x5a" * 4096), "what was written is not there")


@each_engine("the threshold is told before the store is full, once, and again when there was space again")
def _(lab):
    with tmpfs(lab, f"{POOL}m") as where:
        path = sparse(os.path.join(where, "disk"), DISK * MIB)
        with lun(lab, 2, path, "", "--params", "thin_provisioning=1,thin_threshold=90"), session(lab, 2) as i, \
                session(lab, 2, name="iqn.2026-11.test:other") as j:
            lab.op("logicalunit", "update", "--tid", 1, "--lun", 2, "--params", f"thin_threshold={PERCENT}")
            need(attentions(i) == attentions(j) == [MODE_CHANGED], "another threshold is not told")
            need(threshold(i) == (True, POOL * (100 - PERCENT) // 100), threshold(i))
            need(resources(i) == (POOL, 0), resources(i))
            for _ in range(2):
                once(i, j)
                for at in range(DISK):
                    need(unmap(i, at * 2048, 2048) is None, "UNMAP")
                wait_for(lambda: resources(i)[0] >= POOL - 1, 30, "space that was given back is not told")
            need(write(i, 0, b"\x5c" * 4096) is None and read(i, 0, 8)[1] == b"\x5c" * 4096, "a write afterwards")


@each_engine("without a threshold there is no warning, without thin provisioning no page")
def _(lab):
    with tmpfs(lab, f"{POOL}m") as where:
        path = sparse(os.path.join(where, "disk"), DISK * MIB)
        with lun(lab, 2, path, "", "--params", "thin_provisioning=1"), session(lab, 2) as i:
            need(threshold(i) == (False, 0), threshold(i))
            fill(i, 0, DISK)
            wait_for(lambda: resources(i)[0] == 0, 30, "the log page does not say that nothing is left")
            need(attentions(i) == [], "a warning that nobody wanted")
        with lun(lab, 2, path), session(lab, 2) as i:
            need(command(i, [0x1a, 8, 0x1c, 2, 255, 0], 255)[0] == (5, 0x24, 0), "the mode page")
            need(command(i, struct.pack(">BBB4xHx", 0x4d, 0, 0x4c, 255), 255)[0] == (5, 0x24, 0), "the log page")


if __name__ == "__main__":
    own_mounts()
    sys.exit(run_each_engine())
