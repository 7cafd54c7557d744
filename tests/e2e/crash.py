#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The management daemon is killed at any moment of 200 changes: the old or the new state, never another."""
# runner: timeout=240
import random
import re
import subprocess
import time

import _path  # noqa: F401
from lab import STANDIN, Lab, require_built
from tap import case, need, run

CHANGES, KILL_EVERY = 200, 5
TIDS, LUNS, ADDRESSES = range(1, 7), range(1, 5), ("192.0.2.0/24", "198.51.100.7", "2001:db8::/32")


def parse(shown):
    """tid → (name, LUNs, rules), from the text that administrators read."""
    state, block = {}, None
    for line in shown.splitlines():
        m = re.match(r"Target (\d+): (.*)", line)
        if m:
            tid = int(m.group(1))
            state[tid] = (m.group(2), set(), set())
        elif re.match(r" {4}\S", line):
            block = line.strip()
        elif re.match(r" {8}LUN: ", line) and int(line.split()[1]) > 0:
            state[tid][1].add(int(line.split()[1]))
        elif block == "ACL information:" and re.match(r" {8}\S", line):
            state[tid][2].add(line.strip())
    return state


def change(lab, rnd, state):
    """A random valid change: its command, and the state after it."""
    new = {t: (n, set(l), set(a)) for t, (n, l, a) in state.items()}
    tid = rnd.choice(TIDS)
    if tid not in state:
        new[tid] = (lab.iqn(tid), set(), set())
        return ["target", "new", "--tid", tid, "--targetname", lab.iqn(tid)], new
    what = rnd.choice(("lun", "lun", "acl", "target"))
    if what == "target":
        del new[tid]
        return ["target", "delete", "--force", "--tid", tid], new
    if what == "acl":
        addr = rnd.choice(ADDRESSES)
        new[tid][2].symmetric_difference_update({addr})
        return ["target", "bind" if addr in new[tid][2] else "unbind", "--tid", tid, "--initiator-address", addr], new
    lun = rnd.choice(LUNS)
    new[tid][1].symmetric_difference_update({lun})
    if lun in new[tid][1]:
        return ["logicalunit", "new", "--tid", tid, "--lun", lun, "--backing-store",
                lab.path(f"disk{tid}.{lun}")], new
    return ["logicalunit", "delete", "--tid", tid, "--lun", lun], new


def command(lab, args):
    return subprocess.Popen([lab.tadm_path, "--lld", "iscsi", "--mode", args[0], "--op", *map(str, args[1:])],
                            env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                            text=True)


@case(f"{CHANGES} changes, a kill in every {KILL_EVERY}th")
def _(lab):
    rnd = random.Random(2)
    for tid in TIDS:
        for lun in LUNS:
            lab.file(f"disk{tid}.{lun}", "8M")
    state, kills, kept = {}, 0, 0
    for n in range(CHANGES):
        args, new = change(lab, rnd, state)
        p = command(lab, args)
        if n % KILL_EVERY == 0:
            time.sleep(rnd.random() * 0.03)
            lab.mgmtd.kill()
            out, _ = p.communicate(timeout=60)
            lab.start()
            now = parse(lab.show())
            need(now in (state, new), f"{args}: neither the old nor the new state\n{state}\n{new}\n{now}")
            need(p.returncode != 0 or now == new, f"{args}: success was told, and the change is gone")
            kills += 1
            kept += now == new
            state = now
            if kills % 8 == 0:
                agree(lab, state)
        else:
            out, _ = p.communicate(timeout=60)
            need(p.returncode == 0, f"{args}: {out}")
            state = new
    need(parse(lab.show()) == state, "the last state differs")
    agree(lab, state)
    print(f"    {kills} kills, the change was kept in {kept}")


def agree(lab, state):
    """The gateway itself has the same targets: those that admit this host are discovered."""
    for tid in state:
        lab.op("target", "bind", "--tid", tid, "--initiator-address", "127.0.0.1")
    out = lab.run("iscsi-ls", lab.portal_url(), check=False).stdout
    found = {int(t) for t in re.findall(re.escape(lab.iqn("")) + r"(\d+)", out)}
    need(found == set(state), f"discovery shows {found}, the management daemon has {set(state)}")
    for tid in state:
        lab.op("target", "unbind", "--tid", tid, "--initiator-address", "127.0.0.1")


require_built()
if STANDIN:
    print("the stand-in has no management daemon")
    raise SystemExit(77)
with Lab() as lab_:
    failed = run(lab_)
raise SystemExit(failed)
