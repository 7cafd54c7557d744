#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""LUN maps: what each of several initiators sees of one target, on sessions that stay open while maps change."""
# runner: timeout=180
import json
import struct
import threading

from _pr_lab import CLEAR, CONFLICT, EA, GOOD, RESERVE, Path
from lab import STANDIN, Lab, Refused, require_built
from tap import case, need, run

HIDDEN, PROTECTED, LUNS_CHANGED, MODE_CHANGED = (5, 0x2500), (7, 0x2700), (6, 0x3F0E), (6, 0x2A01)
NODE = "iqn.2026-11.org.example:node-"
DISK, CONTROLLER, NOTHING = 0x00, 0x0C, 0x7F


def same(got, want):
    need(got == want, f"{got}, expected {want}")


class Node(Path):
    def luns(self):
        status, data = self.run(struct.pack(">BxBxxxIxx", 0xA0, 0, 4096), read=4096, lun=0)
        need(status == GOOD, status)
        n = struct.unpack(">I", data[:4])[0]
        need(len(data) == 8 + n, data.hex())
        return [struct.unpack(">H", data[i:i + 2])[0] & 0x3FFF for i in range(8, 8 + n, 8)]

    def kind(self, lun):
        """Peripheral qualifier and type; also where there is nothing."""
        return self.run(bytes((0x12, 0, 0, 0, 96, 0)), read=96, lun=lun)[1][0]

    def identity(self, lun):
        status, data = self.run(bytes((0x12, 1, 0x83, 1, 0, 0)), read=256, lun=lun)
        need(status == GOOD, status)
        return data

    def protected(self, lun):
        status, data = self.run(bytes((0x1A, 0x08, 0x3F, 0, 255, 0)), read=255, lun=lun)
        need(status == GOOD, status)
        return bool(data[2] & 0x80)

    def calm_all(self):
        for lun in self.luns():
            self.calm(lun)
        return self

    def told(self, lun):
        """What TEST UNIT READY says, once."""
        return self.cmd(bytes(6), lun=lun)


class Masked(Lab):
    """Target 1 with the LUNs 1 to 4, whose first blocks have their number in them; everybody is admitted."""

    def __enter__(self):
        super().__enter__()
        self.nodes = []
        self.target(1)
        for lun in range(1, 5):
            self.lun(1, lun, self.disk(lun))
        return self

    def __exit__(self, *exc):
        self.leave()
        super().__exit__(*exc)

    def disk(self, lun):
        path = self.file(f"disk{lun}", "1M")
        with open(path, "r+b") as f:
            f.write(bytes((lun,)) * 512)
        return path

    def node(self, name):
        n = Node(("127.0.0.1", self.port), self.iqn(), name, bytes((0x80, 0x12, 0x34, 0, 0, len(self.nodes))))
        self.nodes.append(n)
        return n.calm_all()

    def leave(self):
        for n in getattr(self, "nodes", ()):
            n.ini.close()
        self.nodes = []

    def map(self, name, luns):
        self.op("target", "bind", "--tid", 1, "--initiator-name", NODE + name, "--params", "luns=" + luns)

    def unmap(self, name):
        self.op("target", "unbind", "--tid", 1, "--initiator-name", NODE + name, "--params", "luns")

    def listed(self):
        return json.loads(self.tadm("--mode", "target", "--op", "show", "--json"))["targets"][0]

    def forget(self):
        """No maps, no rules by name, no sessions."""
        self.leave()
        for name in self.listed()["acl_names"]:
            self.op("target", "unbind", "--tid", 1, "--initiator-name", name)
        same(self.listed()["maps"], [])


def fresh(name):
    """A case that begins without maps and sessions."""
    def keep(func):
        @case(name)
        def _(lab):
            lab.forget()
            func(lab)
    return keep


@fresh("each initiator has its own numbers, and the same disks behind them")
def _(lab):
    lab.map("a", "0=1,1=3,300=2")
    a, b = lab.node("a"), lab.node("b")
    same((a.luns(), b.luns()), ([0, 1, 300], [0, 1, 2, 3, 4]))
    for own, lun in ((0, 1), (1, 3), (300, 2)):
        same(a.kind(own), DISK)
        same(a.identity(own), b.identity(lun))
        same(a.read(lun=own), lun)
        same(a.write(0x40 + lun, lba=1, lun=own), GOOD)
        same(b.read(lba=1, lun=lun), 0x40 + lun)
    same({s["initiator"]: s["map"] for s in lab.listed()["sessions"]}, {a.name: a.name, b.name: None})


@fresh("what is not in its map is not there for an initiator")
def _(lab):
    lab.map("a", "0=1,1=3")
    a, b = lab.node("a"), lab.node("b")
    for lun in (2, 3, 4, 300):
        same(a.kind(lun), NOTHING)
        same((a.told(lun), a.read(lun=lun), a.write(lun=lun)), (HIDDEN, HIDDEN, HIDDEN))
    same([b.read(lun=lun) for lun in (1, 2, 3, 4)], [1, 2, 3, 4])


@fresh("read-only for one, writable for the others")
def _(lab):
    lab.map("a", "1=1,2=2/ro")
    a, b = lab.node("a"), lab.node("b")
    same((a.protected(1), a.protected(2), b.protected(2)), (False, True, False))
    same((a.write(lba=2, lun=1), a.write(lba=2, lun=2), b.write(0x55, lba=2, lun=2)), (GOOD, PROTECTED, GOOD))
    same(a.read(lba=2, lun=2), 0x55)


@fresh("no number 0, none at all: the controller is left")
def _(lab):
    lab.map("a", "none")
    lab.map("b", "7=1")
    a, b = lab.node("a"), lab.node("b")
    same((a.luns(), b.luns()), ([0], [0, 7]))
    same((a.kind(0), b.kind(0), a.kind(1), b.kind(7)), (CONTROLLER, CONTROLLER, NOTHING, DISK))
    same(a.told(1), HIDDEN)


@fresh("an exact name before patterns, patterns in their order")
def _(lab):
    lab.map("a*", "all/ro")
    lab.map("a?", "none")
    lab.map("ab", "1=2")
    lab.map("*", "5=4")
    a, aa, ab, b = (lab.node(n) for n in ("a", "aa", "ab", "b"))
    same([n.luns() for n in (a, aa, ab, b)], [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1], [0, 5]])
    same((a.write(lba=3), ab.write(lba=3)), (PROTECTED, GOOD))
    same(sorted((s["initiator"], s["map"]) for s in lab.listed()["sessions"]),
         [(NODE + "a", NODE + "a*"), (NODE + "aa", NODE + "a*"), (NODE + "ab", NODE + "ab"), (NODE + "b", NODE + "*")])


@fresh("libiscsi's tools see the map")
def _(lab):
    lab.map("a", "0=1,1=3")
    for name, want in (("a", ["0", "1"]), ("b", ["0", "1", "2", "3", "4"])):
        out = lab.run("iscsi-ls", "-i", NODE + name, "-s", lab.portal_url()).stdout
        same([line.split()[0].split(":")[1] for line in out.splitlines() if line.startswith("Lun:")], want)
    out = lab.run("iscsi-inq", "-i", NODE + "a", lab.url(lun=0)).stdout
    need("DIRECT_ACCESS" in out, out)
    need(lab.run("iscsi-readcapacity16", "-i", NODE + "a", lab.url(lun=3), check=False).returncode, "LUN 3 is hidden")


@fresh("a change reaches open sessions, and disturbs nobody else")
def _(lab):
    lab.map("a", "1=1,2=2")
    a, b = lab.node("a"), lab.node("b")
    lab.map("a", "1=1,3=3")
    same(a.told(1), LUNS_CHANGED)
    a.calm_all()
    same((a.luns(), a.told(2), a.read(lun=3)), ([0, 1, 3], HIDDEN, 3))
    # The same number, another disk.
    lab.map("a", "1=4,3=3")
    same(a.calm(1), GOOD)
    same(a.read(lun=1), 4)
    # No map any more: everything, under everybody's numbers.
    lab.unmap("a")
    a.calm_all()
    same((a.luns(), a.read(lun=1)), ([0, 1, 2, 3, 4], 1))
    lab.map("a", "none")
    a.calm(0)
    same((a.luns(), a.told(1)), ([0], HIDDEN))
    same([b.told(lun) for lun in (0, 1, 2, 3, 4)], [GOOD] * 5)


@fresh("from writable to read-only and back, while a session is open")
def _(lab):
    lab.map("a", "1=1,2=2")
    a = lab.node("a")
    for luns, want in (("1=1/ro,2=2", PROTECTED), ("1=1,2=2", GOOD)):
        lab.map("a", luns)
        same((a.told(1), a.told(2)), (MODE_CHANGED, GOOD))
        same((a.write(lba=4, lun=1), a.protected(1)), (want, want == PROTECTED))


@fresh("maps change under I/O: whose LUNs stay never sees an error")
def _(lab):
    lab.map("a", "1=1")
    b, errors, stop = lab.node("b"), [], threading.Event()

    def load():
        n = 0
        while not stop.is_set() and not errors:
            n += 1
            if b.write(n & 255, lba=5) != GOOD or b.read(lba=5) != n & 255:
                errors.append(n)

    a, t = lab.node("a"), threading.Thread(target=load)
    t.start()
    for i in range(20):
        lab.map("a", ("1=2", "none", "all", "5=1/ro")[i % 4])
        a.calm(1)
        same(a.luns(), ([0, 1], [0], [0, 1, 2, 3, 4], [0, 5])[i % 4])
    stop.set()
    t.join()
    same(errors, [])


@fresh("one disk under two numbers has one reservation")
def _(lab):
    lab.map("a", "9=1")
    a, b = lab.node("a"), lab.node("b")
    same((a.register(77, lun=9), a.pr_out(RESERVE, 77, kind=EA, lun=9)), (GOOD, GOOD))
    same((a.write(lba=6, lun=9), b.write(lba=6, lun=1), b.write(lba=6, lun=2)), (GOOD, CONFLICT, GOOD))
    same(b.keys(lun=1), [77])
    same(a.pr_out(CLEAR, 77, lun=9), GOOD)


@fresh("a deleted LUN leaves the maps, a new one is seen through all and no other")
def _(lab):
    lab.map("a", "0=1,1=4")
    lab.map("b", "all/ro")
    a, b, c = lab.node("a"), lab.node("b"), lab.node("c")
    lab.op("logicalunit", "delete", "--tid", 1, "--lun", 4)
    for n in (a, b, c):
        n.calm_all()
    same([n.luns() for n in (a, b, c)], [[0], [0, 1, 2, 3], [0, 1, 2, 3]])
    same(a.told(1), HIDDEN)
    lab.lun(1, 4, lab.disk(4))
    lab.lun(1, 5, lab.disk(5))
    for n in (a, b, c):
        n.calm_all()
    same([n.luns() for n in (a, b, c)], [[0], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]])
    same((a.read(lun=0), a.told(4), b.write(lun=4), c.write(4, lun=4)), (1, HIDDEN, PROTECTED, GOOD))
    lab.op("logicalunit", "delete", "--tid", 1, "--lun", 5)


@fresh("maps are there again after both daemons were killed, and after each alone")
def _(lab):
    lab.map("a", "0=1,1=3/ro")
    lab.map("b*", "none")
    maps, shown = lab.listed()["maps"], lab.show()
    need("    LUN maps:\n" in shown, shown)
    for which in ((lab.gateway,), (lab.mgmtd,), (lab.gateway, lab.mgmtd)):
        for daemon in which:
            daemon.kill()
        lab.leave()
        lab.start()
        same((lab.listed()["maps"], lab.show()), (maps, shown))
        a, b, c = lab.node("a"), lab.node("b"), lab.node("c")
        same([n.luns() for n in (a, b, c)], [[0, 1], [0], [0, 1, 2, 3, 4]])
        same((a.read(lun=1), a.write(lun=1)), (3, PROTECTED))
        lab.leave()


@fresh("wrong input: one sentence, and nobody notices")
def _(lab):
    lab.map("a", "0=1,1=3")
    a, before = lab.node("a"), lab.show()
    for name, luns in ((NODE + "a", "luns=0=1,0=2"), (NODE + "a", "luns=0=1,1=1"), (NODE + "a", "luns=0=77"),
                       (NODE + "a", "luns=none,all"), (NODE + "a", "luns=16384=1"), (NODE + "a", "luns=all/rw"),
                       (NODE + "a", "luns=1-2=1-3"), ("iqn bad", "luns=all"), (NODE + "a", "lun=all")):
        try:
            lab.op("target", "bind", "--tid", 1, "--initiator-name", name, "--params", luns)
        except Refused as r:
            same((r.code, r.out, len(r.err.splitlines())), (22, "", 1))
            continue
        need(False, f"{name} {luns} is taken")
    same(lab.show(), before)
    same((a.told(0), a.told(1), a.luns()), (GOOD, GOOD, [0, 1]))


require_built()
if STANDIN:
    print("the stand-in has no maps")
    raise SystemExit(77)
with Masked(gateway_args=("--cores", "0,0")) as lab_:
    failed = run(lab_)
raise SystemExit(failed)
