#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Access states of portal groups: the administrator's, what two paths see of them, and what initiators may change."""
# runner: timeout=180
import json
import shutil
import struct

from _pr_lab import GOOD, Cluster
from lab import Refused, require_built
from tap import case, need, run

CHANGED = (6, 0x2A06)
STANDBY, UNAVAILABLE, OFFLINE = (2, 0x040B), (2, 0x040C), (2, 0x0412)
FIELD = (5, 0x2600)
TUR, INQUIRY, REPORT_LUNS = bytes(6), bytes((0x12, 0, 0, 0, 96, 0)), bytes((0xA0, *bytes(8), 64, 0, 0))
CAPACITY = bytes((0x25, *bytes(9)))


def same(got, want):
    need(got == want, f"{got}, expected {want}")


def groups(path):
    """{group: (state, preferred)} as REPORT TARGET PORT GROUPS has them."""
    status, data = path.run(bytes((0xA3, 0x0A, *bytes(4), 0, 0, 4, 0, 0, 0)), read=1024)
    same(status, GOOD)
    need(struct.unpack(">I", data[:4])[0] == len(data) - 4, data.hex())
    found = {}
    for at in range(4, len(data), 12):
        state, can, group, ports = data[at], data[at + 1], struct.unpack(">H", data[at + 2:at + 4])[0], data[at + 7]
        same((can, ports), (0x4F, 1))
        found[group] = state & 15, bool(state & 0x80)
    return found


def set_groups(path, *pairs):
    """SET TARGET PORT GROUPS."""
    data = bytes(4) + b"".join(struct.pack(">BxH", state, group) for group, state in pairs)
    return path.cmd(struct.pack(">BB4xIxx", 0xA4, 0x0A, len(data)), data=data)


def alua(lab, value, prog=None):
    args = ("--lld", "iscsi", "--mode", "target", "--op", "update", "--tid", 1, "--name", "alua", "--value", value)
    if prog:
        lab.run(prog, *args)
    else:
        lab.tadm(*args)


def fresh(lab):
    """Nothing is set; a path through either portal, from two initiators."""
    for p in lab.paths.values():
        p.ini.close()
    for group in listed(lab):
        alua(lab, f"{group}=default")
    lab.paths = {"a1": lab.path_to("a", 1), "b2": lab.path_to("b", 2)}
    one, two = lab.paths.values()
    same(set_groups(one, (1, 0), (2, 0)), GOOD)
    one.calm()
    two.calm()
    return one, two


def listed(lab):
    """{group: what the listing says}"""
    lines = [line.strip() for line in lab.show().splitlines() if line.startswith("        Portal group ")]
    return {int(line.split(":")[0].split()[-1]): line.split(": ")[1] for line in lines}


def kept(lab):
    target = json.loads(lab.op("target", "show", "--json"))["targets"][0]
    return [(g["tpgt"], g["state"], g["preferred"]) for g in target["alua"]]


@case("before anything is set: two groups that can do all of it, no word in the listing")
def _(lab):
    one, two = fresh(lab)
    same((groups(one), groups(two)), ({1: (0, False), 2: (0, False)},) * 2)
    same((listed(lab), kept(lab)), ({}, []))
    status, data = one.run(INQUIRY, read=96)
    same((status, data[5] & 0x30), (GOOD, 0x30))


@case("standby: both paths are told, one has no I/O, the other all of it")
def _(lab):
    one, two = fresh(lab)
    alua(lab, "2=standby")
    for p in (one, two):
        same(p.cmd(TUR), CHANGED)
    same((one.cmd(TUR), two.cmd(TUR)), (GOOD, STANDBY))
    same((one.write(), two.write(), two.read(), two.cmd(bytes((0x35, *bytes(9))))), (GOOD, STANDBY, STANDBY, STANDBY))
    same(one.read(), 0x77)
    for cdb, size in ((INQUIRY, 96), (REPORT_LUNS, 64), (CAPACITY, 8)):
        same(two.cmd(cdb, read=size), GOOD)
    same((groups(one), groups(two)), ({1: (0, False), 2: (2, False)},) * 2)
    same((listed(lab), kept(lab)), ({2: "standby"}, [(2, "standby", False)]))
    # Once more is no change.
    alua(lab, "2=standby")
    same((one.cmd(TUR), two.cmd(TUR)), (GOOD, STANDBY))
    # A session that begins finds it so.
    two.ini.close()
    two.login()
    same(two.cmd(TUR), STANDBY)
    alua(lab, "2=default")
    same((one.cmd(TUR), two.cmd(TUR)), (CHANGED, CHANGED))
    same((two.write(), listed(lab)), (GOOD, {}))


@case("the other states, each with its own answer, and the preferred group")
def _(lab):
    one, two = fresh(lab)
    for state, number, answer in (("active-non-optimized", 1, GOOD), ("unavailable", 3, UNAVAILABLE),
                                  ("offline", 14, OFFLINE), ("active-optimized", 0, GOOD)):
        alua(lab, f"2={state}")
        alua(lab, f"1=active-non-optimized{',preferred' if number else ''}")
        one.calm()
        same(two.calm(), answer)
        same(two.write(), answer)
        same(one.write(), GOOD)
        same(two.cmd(INQUIRY, read=96), GOOD)
        same(two.cmd(CAPACITY, read=8), GOOD if answer == GOOD else answer)
        same((groups(one), groups(two)), ({1: (1, bool(number)), 2: (number, False)},) * 2)
        same(listed(lab), {1: "active-non-optimized" + (", preferred" if number else ""), 2: state})


@case("what the administrator has set, initiators do not change; the rest is theirs, and logged")
def _(lab):
    one, two = fresh(lab)
    alua(lab, "2=standby")
    one.calm(), two.calm()
    for p in (one, two):
        same(set_groups(p, (2, 0)), FIELD)
        same(set_groups(p, (1, 1), (2, 0)), FIELD)
    same((one.cmd(TUR), two.cmd(TUR)), (GOOD, STANDBY))
    same(set_groups(two, (2, 2), (1, 1)), GOOD)
    same(one.cmd(TUR), CHANGED)
    same(groups(one), {1: (1, False), 2: (2, False)})
    with open(lab.gateway.log, encoding="utf-8") as f:
        said = [line for line in f if "has set the state of a portal group" in line]
    need(said[-1].rstrip().endswith(f"initiator={two.name} target={lab.iqn()} group=1 state=active-non-optimized"), said)
    need("state=active-optimized" not in said[-1], said)
    # Theirs is not the administrator's: not listed, not kept.
    same(kept(lab), [(2, "standby", False)])
    alua(lab, "2=default")
    one.calm(), two.calm()
    same(groups(one), {1: (1, False), 2: (0, False)})
    same(set_groups(one, (2, 2)), GOOD)
    same((two.cmd(TUR), two.cmd(TUR)), (CHANGED, STANDBY))
    # Of the same group, the administrator has the last word.
    alua(lab, "2=active-optimized")
    same((one.calm(), two.calm()), (GOOD, GOOD))
    same(set_groups(two, (2, 2)), FIELD)
    lab.crash()
    same(groups(one), {1: (0, False), 2: (0, False)})


@case("restarts and crashes of the daemons keep what the administrator has set")
def _(lab):
    one, two = fresh(lab)
    alua(lab, "2=unavailable")
    alua(lab, "1=active-non-optimized,preferred")
    wanted = [(1, "active-non-optimized", True), (2, "unavailable", False)]

    def check():
        same((groups(one), groups(two)), ({1: (1, True), 2: (3, False)},) * 2)
        same((one.write(), two.write()), (GOOD, UNAVAILABLE))
        same(kept(lab), wanted)
    one.calm(), two.calm()
    check()
    lab.crash()
    check()
    for p in lab.paths.values():
        p.ini.close()
    for daemon in (lab.gateway, lab.mgmtd):
        need(daemon.stop() is None, "it did not end well")
    lab.start()
    one.login(), two.login()
    check()
    lab.mgmtd.kill()
    lab.start()
    # The whole configuration came again: nothing is new, nobody is told.
    same((one.cmd(TUR), two.cmd(TUR)), (GOOD, UNAVAILABLE))
    check()


@case("a group without a portal is kept, and meets the portal that comes later")
def _(lab):
    one, _ = fresh(lab)
    alua(lab, "9=standby,preferred")
    one.calm()
    same(groups(one), {1: (0, False), 2: (0, False)})
    same((one.write(), listed(lab)), (GOOD, {9: "standby, preferred"}))
    lab.op("portal", "delete", "--param", f"portal=127.0.0.1:{lab.port2}")
    lab.op("portal", "new", "--param", f"portal=127.0.0.1:{lab.port2},tpgt=9")
    try:
        late = lab.paths["late"] = lab.path_to("c", 2)
        same(late.write(), STANDBY)
        same(groups(late)[9], (2, True))
        late.ini.close()
    finally:
        del lab.paths["late"]
        lab.op("portal", "delete", "--param", f"portal=127.0.0.1:{lab.port2}")
        lab.op("portal", "new", "--param", f"portal=127.0.0.1:{lab.port2},tpgt=2")


@case("only that target, and with tgtadm as well")
def _(lab):
    one, two = fresh(lab)
    lab.target(2)
    prog = shutil.which("tgtadm")
    alua(lab, "2=standby,preferred", prog)
    same((one.calm(), two.calm()), (GOOD, STANDBY))
    text = lab.show()
    need("Portal group" not in text[text.index("Target 2:"):], text)
    lab.op("target", "delete", "--tid", 2)
    alua(lab, "2=default", prog)
    same(two.calm(), GOOD)


@case("wrong input: one sentence, nothing changed")
def _(lab):
    one, two = fresh(lab)
    alua(lab, "2=active-non-optimized")
    one.calm(), two.calm()
    for value in ("standby", "0=standby", "65536=standby", "2=", "2=asleep", "2=standby,prefered", "2=default,preferred",
                  "2=standby,1=standby"):
        try:
            alua(lab, value)
        except Refused as r:
            need(r.code and len(r.err.strip().splitlines()) == 1 and "portal group" in r.err, f"{value}: {r.err}")
        else:
            raise AssertionError(f"{value} was accepted")
    same((one.cmd(TUR), two.cmd(TUR), kept(lab)), (GOOD, GOOD, [(2, "active-non-optimized", False)]))


require_built()
with Cluster() as lab_:
    failed = run(lab_)
raise SystemExit(failed)
