#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""lichgate-mgmtd killed at any moment, gateways that restart, and 10,000 LUNs."""
# runner: timeout=240
import random
import re
import sys
import threading
import time

import _path  # noqa: F401
from _mgmt_lab import SCALE, MgmtLab, wait_for
from tap import case, need, run

IQN = "iqn.2026-11.org.example:"
CHANGES = 200
KILLS = 12


def listed(lab):
    return lab.ok("-m", "target", "-o", "show")


@case("killed during 200 changes: the old state or the new one, never another")
def _(lab):
    lab.ok("-m", "target", "-o", "new", "-t", 1, "-T", IQN + "kill")
    # Each change sets two things at once: serial and vendor must always agree.
    lab.ok("-m", "logicalunit", "-o", "new", "-t", 1, "-l", 1, "-E", "null")
    lab.ok("-m", "logicalunit", "-o", "update", "-t", 1, "-l", 1, "-P", "scsi_sn=0,vendor_id=V0")
    rng = random.Random(7)
    kill_at = set(rng.sample(range(1, CHANGES), KILLS))
    acked = 0
    for n in range(1, CHANGES + 1):
        if n in kill_at:
            pause = rng.random() * 0.02
            proc = lab.mgmtd
            killer = threading.Timer(pause, proc.kill)
            killer.start()
        p = lab.adm("-m", "logicalunit", "-o", "update", "-t", 1, "-l", 1, "-P",
                    f"scsi_sn={n},vendor_id=V{n}")
        if n in kill_at:
            killer.join()
            proc.wait()
            lab.mgmtd = None
            lab.start_mgmtd()
        elif p.returncode:
            raise AssertionError(p.stderr)
        lun = lab.state()["lun:1/1"]
        need(lun["vendor"] == "V" + lun["serial"], f"half a change: {lun}")
        want = (n,) if p.returncode == 0 else (acked, n)
        need(int(lun["serial"]) in want, f"{lun['serial']} after {n}, acknowledged {acked}")
        need(f"SCSI SN: {lun['serial']}\n" in listed(lab), "mgmtd and the gateway differ")
        acked = int(lun["serial"])


@case("a gateway that restarts gets the whole configuration once")
def _(lab):
    before = lab.state()
    lab.kill_stub()
    count = len([c for c in lab.applies() if "full=True" in c])
    lab.start_stub()
    wait_for(lab.configured, "the gateway is configured")
    need(lab.state() == before)
    time.sleep(1.5)
    need(len([c for c in lab.applies() if "full=True" in c]) == count + 1, "pushed again and again")


@case("one more LUN among 10,000 sends one object")
def _(lab):
    total = 10000 // SCALE
    lab.ok("-m", "target", "-o", "new", "-t", 2, "-T", IQN + "many")
    fill(lab, 2, total)
    start = time.monotonic()
    lab.ok("-m", "logicalunit", "-o", "new", "-t", 2, "-l", 16000, "-E", "null")
    took = time.monotonic() - start
    last = lab.applies()[-1]
    need(re.match(r"apply full=False set=1 del=0 bytes=(\d{3})$", last), last)
    need(took < 2 * SCALE, f"{took:.2f} s for one LUN")
    need(listed(lab).count("Type: disk") == total + 2)
    lab.kill_mgmtd()
    lab.start_mgmtd()
    need(len([k for k in lab.state() if k.startswith("lun:2/")]) == total + 1)
    lab.ok("-m", "target", "-o", "delete", "-t", 2)
    need(not [k for k in lab.state() if k.startswith("lun:2/")])


def fill(lab, tid, count):
    """Rows straight into the store: what is measured is the change after them, not 10,000 fsyncs."""
    import json
    import sqlite3
    lab.ok("-m", "logicalunit", "-o", "new", "-t", tid, "-l", 1, "-E", "null")
    lab.kill_mgmtd()
    db = sqlite3.connect(lab.path("state/config.db"))
    body = json.loads(db.execute("SELECT body FROM object WHERE key=?", (f"lun:{tid}/1",)).fetchone()[0])
    for n in range(2, count + 1):
        row = dict(body, key=f"lun:{tid}/{n}", lun=n, naa="6024c47" + f"{n:025x}")
        db.execute("INSERT INTO object(key,body) VALUES(?,?)", (row["key"], json.dumps(row)))
    db.commit()
    db.close()
    lab.start_mgmtd()


with MgmtLab() as lab_:
    failed = run(lab_)
sys.exit(failed)
