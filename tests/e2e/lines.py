#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""No cache line of the data path is written by two cores, nor written by one and read by the other.

A gateway in which every access to memory is a call (tests/lines) enters each line with the cores that wrote it, while two
cores serve sessions of one LUN and nothing else happens. A login in such a time proves that the eye is open: it goes by
messages, and a mailbox is what two cores write to.
"""
# runner: timeout=120 serial
import mmap
import os
import struct
import subprocess
import time

import _path  # noqa: F401
from lab import BUILD, STANDIN, Lab, require_built, wait_for
from tap import case, need, run

GATEWAY = os.path.join(BUILD, "lines/lichgated")
LEAN = os.path.join(BUILD, "tests/bench/lean")
# As in tests/lines/lines.c.
HEAD, SLOT = struct.Struct("<II56x64Q"), struct.Struct("<8Q")
WRITES = 100_000
# Not the data path's: the medium is what initiators want written, and who logs a line has other worries.
ALLOWED = ("medium_write", "gw_ratelimit_pass")


class Lines:
    """The file that the gateway enters lines in; `with lines:` is a time in which it does."""

    def __init__(self, path):
        self.path = path
        self.map = None

    def __enter__(self):
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.map[:] = bytes(len(self.map))
        self.map[0:4] = struct.pack("<I", 1)
        return self

    def writes(self, core):
        return HEAD.unpack_from(self.map)[2 + core]

    def __exit__(self, *_):
        self.map[0:4] = struct.pack("<I", 0)
        time.sleep(0.1)

    def slots(self):
        """(line, cores that wrote, cores that read, code of two writers and a reader, writes) of each line."""
        on, lost = HEAD.unpack_from(self.map)[:2]
        need(on == 0 and lost == 0, f"{lost} accesses found no room in the file")
        for fields in SLOT.iter_unpack(memoryview(self.map)[HEAD.size:]):
            if fields[0]:
                yield fields[:7]


def where(codes):
    """Functions and lines of source of addresses in the gateway."""
    out = subprocess.run(["addr2line", "-f", "-s", "-e", GATEWAY] + [hex(c - 1) for c in codes],
                         capture_output=True, text=True, check=False).stdout.split("\n")
    return [f"{f} {at}" for f, at in zip(out[::2], out[1::2])]


def say(slots, what):
    """One line of output for each pair of places in the code; how many lines are not allowed."""
    pairs, bad = {}, 0
    for line, _, _, w1, w2, r, writes in slots:
        pairs.setdefault((w1, w2 or r), []).append((line << 6, writes))
    for (a, b), lines in sorted(pairs.items(), key=lambda p: -sum(n for _, n in p[1])):
        code = where([a, b])
        allowed = code[0].split()[0] in ALLOWED
        bad += 0 if allowed else len(lines)
        print(f"{what}{' (allowed)' if allowed else ''}: {len(lines)} lines, {sum(n for _, n in lines)} writes, such as",
              f"{lines[0][0]:#x}:", " and ".join(code))
    return bad


def load(lab, lun, *args):
    """Four sessions on each core."""
    return subprocess.Popen([LEAN, "--url", lab.url(1, lun), "--sessions", "8", "--depth", "8", "--sleep", "--seconds",
                             "60", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def steady(lab, lun, *args):
    client = load(lab, lun, *args)
    try:
        wait_for(lambda: lab.op("target", "show").count("I_T nexus: ") == 8, 20, "eight sessions")
        time.sleep(0.5)
        with lab.lines as lines:
            wait_for(lambda: client.poll() is not None or min(lines.writes(0), lines.writes(1)) > WRITES, 20,
                     "both cores are at work")
            need(client.poll() is None, "the client ended")
    finally:
        client.kill()
        client.communicate()
    slots = list(lines.slots())
    both = [s for s in slots if bin(s[1]).count("1") > 1]
    foreign = [s for s in slots if bin(s[1]).count("1") == 1 and s[2] & ~s[1]]
    print(f"{len(slots)} lines, {len(both)} of them written by both cores, {len(foreign)} by one and read by the other")
    bad = say(both, "written by both") + say(foreign, "written by one, read by the other")
    need(bad == 0, f"{bad} lines are written by one core and touched by the other")


@case("4 KiB reads of a file")
def _(lab):
    steady(lab, 1, "--rw", "read")


@case("4 KiB reads and writes of a file")
def _(lab):
    steady(lab, 1, "--rw", "mixed")


@case("256 KiB reads and writes of a file")
def _(lab):
    steady(lab, 1, "--rw", "mixed", "--bs", "262144")


@case("4 KiB reads and writes of memory, with digests")
def _(lab):
    # A page's first write is entered where all cores see it; from then on it is there.
    subprocess.run([LEAN, "--url", lab.url(1, 2), "--verify", "--seconds", "0.1"], stdout=subprocess.DEVNULL, timeout=60, check=True)
    steady(lab, 2, "--rw", "mixed", "--digest", "both")


@case("4 KiB reads and writes of nothing")
def _(lab):
    steady(lab, 3, "--rw", "mixed")


@case("logins are seen: they go by mailboxes")
def _(lab):
    with lab.lines as lines:
        for _ in range(2):
            load(lab, 1, "--seconds", "0.2").communicate(timeout=60)
    both = [s for s in lines.slots() if bin(s[1]).count("1") > 1]
    say(both, "written by both")
    need(any("mailbox" in w for s in both for w in where(s[3:5])), "no mailbox was written to by two cores")


def lab_with(*args):
    lab = Lab(gateway_args=["--cores", cores(), *args])
    lab.env["LINES_FILE"] = lab.path("lines")
    lab.lines = Lines(lab.path("lines"))
    lab.gateway.argv[0] = GATEWAY
    return lab


def cores():
    cpus = sorted(os.sched_getaffinity(0))
    return f"{cpus[0]},{cpus[-1]}"


require_built()
if STANDIN or not os.path.exists(GATEWAY):
    print("the gateway that sees cache lines is built without sanitizers only")
    raise SystemExit(77)
failed = 0
for engine in ("uring", "epoll"):
    print(f"engine {engine}")
    with lab_with("--engine", engine) as lab_:
        lab_.target(1)
        lab_.lun(1, 1, lab_.file("disk", "64M"))
        lab_.lun(1, 2, "memory", "mem", "--bsopts", "size=67108864")
        lab_.lun(1, 3, "nothing", "null", "--bsopts", "size=67108864")
        failed |= run(lab_)
raise SystemExit(failed)
