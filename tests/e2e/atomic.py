#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two initiators on two cores change the same blocks with COMPARE AND WRITE and ORWRITE: nothing is lost.

    atomic.py [COUNT]     how often the counter rises, half of it by each (5000)
"""
import json
import multiprocessing
import os
import struct
import sys
import traceback

import _path  # noqa: F401
from lab import SCALE, STANDIN, Lab, require_built
from tap import Skip, case, need, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../proto"))
from _initiator import DATA_IN, SCSI_RSP, Initiator  # noqa: E402

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
BLOCK = 512
COUNTER, BITS = 5, 9
GOOD, CHECK = 0, 2
MISCOMPARE = (0xE, 0x1D00)


class Host:
    """One session whose commands carry their data with them."""

    def __init__(self, lab, name):
        host, port = lab.portal.rsplit(":", 1)
        self.ini = Initiator((host, int(port)), name=f"iqn.2026-11.test:{name}", timeout=60 * SCALE)
        rsp = self.ini.login(lab.iqn())
        need(rsp.bhs[36:38] == b"\0\0", "login refused")
        while self.run(bytes(6)) != (GOOD, b""):
            pass

    def run(self, cdb, read=0, data=b""):
        """(status or (key, asc/ascq), data in)"""
        self.ini.command(cdb, read=read, write=len(data), data=data)
        return self.answer()

    def answer(self):
        got = b""
        while True:
            pdu = self.ini.recv()
            if pdu.opcode == DATA_IN:
                got += pdu.data
                if pdu.flags & 1:
                    return pdu.status, got
            elif pdu.opcode == SCSI_RSP:
                return (pdu.sense() if pdu.status == CHECK else pdu.status), got
            else:
                raise AssertionError(f"PDU {pdu.opcode:#x}")

    def read(self, lba):
        status, data = self.run(struct.pack(">BxQIxx", 0x88, lba, 1), read=BLOCK)
        need(status == GOOD and len(data) == BLOCK, f"READ: {status}")
        return data

    def send_compare_and_write(self, lba, old, new):
        self.ini.command(struct.pack(">BxQ3xBxx", 0x89, lba, 1), write=2 * BLOCK, data=old + new)

    def compare_and_write(self, lba, old, new):
        self.send_compare_and_write(lba, old, new)
        return self.answer()[0]

    def orwrite(self, lba, data):
        return self.run(struct.pack(">BxQIxx", 0x8B, lba, 1), data=data)[0]


def number(n):
    return struct.pack(">Q", n) + bytes([n & 0xFF]) * (BLOCK - 8)


def count(host, times):
    """Adds 1 that often; how often the other was faster."""
    seen, late = int.from_bytes(host.read(COUNTER)[:8], "big"), 0
    while times:
        status = host.compare_and_write(COUNTER, number(seen), number(seen + 1))
        if status == GOOD:
            seen, times = seen + 1, times - 1
        else:
            need(status == MISCOMPARE, f"COMPARE AND WRITE: {status}")
            late += 1
            # A plain READ takes no turn: what it saw of a write is compared the next time.
            seen = int.from_bytes(host.read(COUNTER)[:8], "big")
    return late


def set_bits(host, first):
    """Every other bit of the block, one at a time."""
    for bit in range(first, 8 * BLOCK, 2):
        status = host.orwrite(BITS, (1 << bit).to_bytes(BLOCK, "little"))
        need(status == GOOD, f"ORWRITE: {status}")


def both(hosts, func, *args):
    """What func(host, arg) returned for either host; each runs in a process of its own meanwhile."""
    start = multiprocessing.Barrier(len(args))
    answers = multiprocessing.Queue()

    def one(i):
        host = hosts[i]
        try:
            start.wait(60 * SCALE)
            got = func(host, args[i])
        except Exception:
            start.abort()
            got = AssertionError(traceback.format_exc())
        answers.put((i, got, (host.ini.cmdsn, host.ini.expstatsn, host.ini.itt)))

    jobs = [multiprocessing.Process(target=one, args=(i,)) for i in range(len(args))]
    for job in jobs:
        job.start()
    got = [None] * len(args)
    for _ in args:
        i, got[i], numbers = answers.get()
        hosts[i].ini.cmdsn, hosts[i].ini.expstatsn, hosts[i].ini.itt = numbers
    for job in jobs:
        job.join()
    for answer in got:
        if isinstance(answer, AssertionError):
            raise answer
    return got


@case("the sessions are on two cores")
def _(lab, _):
    if STANDIN:
        raise Skip("the stand-in has no counters of cores")
    cores = json.loads(lab.op("system", "stat", "--name", "cores", "--json"))["cores"]
    if len(cores) < 2:
        raise Skip("there is one core only")
    need(max(c["counters"]["sessions"] for c in cores) == 1, str(cores))


@case("a counter that two initiators raise by COMPARE AND WRITE is exact")
def _(_, hosts):
    need(hosts[0].run(struct.pack(">BxQIxx", 0x8A, COUNTER, 1), data=number(0))[0] == GOOD, "WRITE")
    late = both(hosts, count, COUNT // 2, COUNT - COUNT // 2)
    need(hosts[0].read(COUNTER) == number(COUNT), "the counter is wrong")
    print(f"{COUNT} times, and {late[0]} and {late[1]} times too late")


@case("of two that expect the same, at the same time, one writes and the other does not")
def _(_, hosts):
    won = [0, 0]
    seen = int.from_bytes(hosts[0].read(COUNTER)[:8], "big")
    for i in range(COUNT // 2):
        for host in hosts[::-1] if i & 1 else hosts:
            host.send_compare_and_write(COUNTER, number(seen + i), number(seen + i + 1))
        got = [host.answer()[0] for host in hosts]
        need(sorted(map(str, got)) == sorted(map(str, [GOOD, MISCOMPARE])), f"round {i}: {got}")
        won[got.index(GOOD)] += 1
    need(hosts[0].read(COUNTER) == number(seen + COUNT // 2), "the counter is wrong")
    print(f"the first won {won[0]} times, the second {won[1]}")


@case("bits that two initiators set by ORWRITE are all there")
def _(_, hosts):
    if STANDIN:
        raise Skip("the stand-in has no ORWRITE")
    both(hosts, set_bits, 0, 1)
    need(hosts[0].read(BITS) == b"\xff" * BLOCK, "a bit was lost")


require_built()
with Lab() as lab_:
    lab_.target(1)
    lab_.lun(1, 1, lab_.file("disk1", 1 << 20))
    failed = run(lab_, [Host(lab_, f"host{n}") for n in range(2)])
raise SystemExit(failed)
