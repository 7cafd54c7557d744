#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reservations that outlive the gateway (APTPL): killed at any moment, restarted, deleted LUNs, damaged files."""
# runner: timeout=240
import glob
import json
import os
import random
import threading
import time

from _pr_lab import (CAPABILITIES, CHECK, CLEAR, CONFLICT, EA_AR, EA_RO, GOOD, PREEMPT, RELEASE, RESERVE, WE_RO, Closed,
                     Cluster)
from lab import STANDIN, require_built, wait_for
from tap import case, need, run

A, B = 0xAAAA000000000001, 0xBBBB000000000002
APTPL = 0x01
MANUAL = (2, 0x0403)
KILLS = 12


def same(got, want):
    need(got == want, f"{got}, expected {want}")


def all_good(*results):
    need(all(r == GOOD for r in results), f"not all are good: {results}")


def files(lab):
    return sorted(glob.glob(lab.path("state", "reservations", "*")))


def trouble(lab):
    """What administrators are told about LUN 1."""
    luns = json.loads(lab.tadm("--lld", "iscsi", "--mode", "target", "--op", "show", "--json"))["targets"][0]["luns"]
    return [lun["trouble"] for lun in luns if lun["lun"] == 1][0]


def reserved(lab, kind=WE_RO):
    """Node a holds, node b's first path is registered; all of it is to be kept."""
    a1, a2, b1, b2 = lab.join()
    all_good(a1.register(A, bits=APTPL), a2.register(A, bits=APTPL), b1.register(B, bits=APTPL),
             a1.pr_out(RESERVE, A, kind=kind))
    return a1, a2, b1, b2


@case("kill -9: the same keys, the same holder, strangers stay out")
def _(lab):
    for kind in (WE_RO, EA_RO, EA_AR):
        a1, a2, b1, b2 = reserved(lab, kind)
        before = a1.keys(), a1.reservation(), a1.full_status()
        need(a1.pr_in(CAPABILITIES)[3] & 1, "PTPL_A is not told")
        lab.crash()
        same((b2.keys(), b2.reservation(), b2.full_status()), before)
        same(b2.write(), CONFLICT)
        same(b2.read() == CONFLICT, kind != WE_RO)
        for p in (a1, a2, b1):
            same(p.write(), GOOD)
        # They are no relics: what is done with them is kept, too.
        all_good(b1.pr_out(PREEMPT, B, A if kind != EA_AR else 0, kind))
        lab.crash()
        same(a1.keys(), [B])
        same(a1.reservation(), (B if kind != EA_AR else 0, kind))
        same(a1.write(), CONFLICT)
        same(b1.write(), GOOD)


@case("a polite end keeps them as well, and the daemons in either order")
def _(lab):
    a1, _, b1, b2 = reserved(lab)
    for p in lab.paths.values():
        p.ini.close()
    for daemon in (lab.gateway, lab.mgmtd):
        need(daemon.stop() is None, "it did not end well")
    lab.start()
    for p in lab.paths.values():
        p.login()
    same(a1.reservation(), (A, WE_RO))
    same(b2.write(), CONFLICT)
    same(b1.write(), GOOD)
    lab.mgmtd.kill()
    lab.start()
    same(b2.write(), CONFLICT)


@case("without APTPL nothing is kept, and the last REGISTER says which it is")
def _(lab):
    a1, _, b1, b2 = reserved(lab)
    need(len(files(lab)) == 1, f"{files(lab)}")
    all_good(a1.register(A, key=A))
    same(files(lab), [])
    need(not a1.pr_in(CAPABILITIES)[3] & 1, "PTPL_A is told")
    same(b2.write(), CONFLICT)
    lab.crash()
    same(a1.keys(), [])
    same(a1.reservation(), None)
    same(b2.write(), GOOD)
    all_good(b1.register(B, bits=APTPL))
    lab.crash()
    same(a1.keys(), [B])


@case("what was given up stays given up")
def _(lab):
    a1, _, b1, b2 = reserved(lab)
    all_good(a1.pr_out(RELEASE, A, kind=WE_RO))
    lab.crash()
    same(b1.keys(), [A, A, B])
    same(b1.reservation(), None)
    same(b2.write(), GOOD)
    all_good(b1.pr_out(CLEAR, B))
    same(files(lab), [])
    lab.crash()
    same(b1.keys(), [])


def hammer(paths, heard):
    """Takes the reservation from one node to the other and back, until the gateway is gone: the last answer heard."""
    try:
        for n in range(100000):
            mine, other = (paths[0], paths[1]) if n % 2 == 0 else (paths[1], paths[0])
            key = 2 * n + 1000
            heard.append(("asked", mine, key))
            if mine.register_ignore(key, bits=APTPL) != GOOD:
                return
            heard.append(("registered", mine, key))
            old = [k for k in mine.keys() if k != key]
            if mine.pr_out(PREEMPT, key, old[0], WE_RO) != GOOD:
                return
            heard.append(("holds", mine, key))
            other.calm()
    except (Closed, OSError):
        return


@case(f"{KILLS} kills while reservations change hands: what was answered is there")
def _(lab):
    rnd = random.Random(5)
    for _ in range(KILLS):
        a1, _, b1, b2 = lab.join()
        all_good(b1.register(1, bits=APTPL), b1.pr_out(RESERVE, 1, kind=WE_RO))
        heard = []
        t = threading.Thread(target=hammer, args=((a1, b1), heard))
        t.start()
        time.sleep(rnd.random() * 0.5)
        lab.gateway.kill()
        t.join(60)
        need(not t.is_alive(), "an initiator hangs")
        for p in lab.paths.values():
            p.ini.close()
        lab.start()
        for p in lab.paths.values():
            p.login()
        check(heard, a1, b1)
        same(b2.write(), CONFLICT)


def check(heard, a1, b1):
    """The last answer holds, or the one that was asked for after it."""
    keys, holder = a1.keys(), a1.reservation()
    holds = [key for what, _, key in heard if what == "holds"] or [1]
    last = heard[-1] if heard else ("holds", b1, 1)
    may = {holds[-1]}
    if last[0] != "holds":
        may.add(last[2])
    need(holder and holder[0] in may and holder[1] == WE_RO, f"{holder} holds, {last} was heard last of {may}")
    if last[0] == "registered":
        need(last[2] in keys, f"{last} was answered, there are {keys}")
    need(not set(keys) - may, f"keys {keys} of {may}")


@case("a deleted LUN's reservations are no later LUN's")
def _(lab):
    reserved(lab)
    need(len(files(lab)) == 1, f"{files(lab)}")
    lab.leave()
    lab.op("logicalunit", "delete", "--tid", 1, "--lun", 1)
    same(files(lab), [])
    lab.lun(1, 1, lab.disk)
    lab.op("logicalunit", "update", "--tid", 1, "--lun", 1, "--params", "thin_provisioning=1")
    _, _, _, b2 = (lab.path_to(n, p) for n in "ab" for p in (1, 2))
    same(b2.keys(), [])
    same(b2.write(), GOOD)


@case("an unreadable file keeps everybody out, until it is mended or removed")
def _(lab):
    a1, _, b1, b2 = reserved(lab)
    path = files(lab)[0]
    with open(path, "rb") as f:
        text = f.read()
    lab.gateway.kill()
    with open(path, "wb") as f:
        f.write(text.replace(b"type 5", b"type 6"))
    for p in lab.paths.values():
        p.ini.close()
    lab.start()
    for p in lab.paths.values():
        p.login()
        same(p.cmd(bytes(6)), MANUAL)
        same(p.write(), MANUAL)
        same(p.read(), MANUAL)
        same(p.register_ignore(7, bits=APTPL), MANUAL)
    need("damaged" in (trouble(lab) or ""), f"administrators are told: {trouble(lab)}")
    with open(path, "wb") as f:
        f.write(text)
    wait_for(lambda: b1.calm() == GOOD, 10, "the LUN serves again")
    same(trouble(lab), None)
    for p in lab.paths.values():
        p.calm()
    same(b2.write(), CONFLICT)
    same(a1.reservation(), (A, WE_RO))
    # Given up by the administrator.
    lab.gateway.kill()
    with open(path, "wb") as f:
        f.write(text[:-1])
    for p in lab.paths.values():
        p.ini.close()
    lab.start()
    for p in lab.paths.values():
        p.login()
    same(b2.write(), MANUAL)
    os.unlink(path)
    wait_for(lambda: b2.calm() == GOOD, 10, "the LUN serves again")
    same(b2.keys(), [])
    same(b2.write(), GOOD)


@case("what cannot be saved is refused, and changes nothing")
def _(lab):
    a1, _, b1, b2 = reserved(lab)
    directory = lab.path("state", "reservations")
    os.rename(directory, directory + ".away")
    with open(directory, "w", encoding="ascii"):
        pass
    need(b2.register(7, bits=APTPL)[0] == 4, "it was not refused")
    same(b1.keys(), [A, A, B])
    need(b1.pr_out(PREEMPT, B, A, WE_RO) not in (GOOD, CHECK), "it was not refused")
    same(a1.reservation(), (A, WE_RO))
    same(a1.write(), GOOD)
    os.unlink(directory)
    os.rename(directory + ".away", directory)
    all_good(b1.pr_out(PREEMPT, B, A, WE_RO))
    lab.crash()
    same(b1.reservation(), (B, WE_RO))


require_built()
if STANDIN:
    print("the stand-in keeps nothing")
    raise SystemExit(77)
with Cluster(gateway_args=("--cores", "0,0")) as lab_:
    failed = run(lab_)
raise SystemExit(failed)
