#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Everything is found again: after a restart of both daemons, of either, and with initiators attached."""
# runner: timeout=120
import json
import os
import re
import sqlite3
import subprocess
import time

import _path  # noqa: F401
from lab import BUILD, STANDIN, Lab, free_port, require_built, wait_for
from tap import Skip, case, need, run

LOAD = os.path.join(BUILD, "tests/lib/load")
SIZE = 64 << 20


def setup(lab):
    for tid in (1, 2):
        lab.target(tid)
        for lun in (1, 2):
            lab.lun(tid, lun, lab.file(f"disk{tid}.{lun}", SIZE))
    lab.op("target", "bind", "--tid", 2, "--initiator-name", "iqn.2026-11.org.example:somebody")
    lab.op("target", "update", "--tid", 2, "--name", "MaxBurstLength", "--value", "131072")
    lab.op("account", "new", "--user", "dave", "--password", "password-of-dave")
    lab.op("logicalunit", "update", "--tid", 1, "--lun", 2, "--params", "vendor_id=ACME,product_id=Disk,readonly=1")
    lab.run("qemu-io", "-f", "raw", "-c", "write -P 0x77 0 1M", "-c", "flush", lab.url())


def state(lab):
    """What an administrator and an initiator see, without who is attached."""
    seen = [re.sub(r"(?ms)^    I_T nexus information:\n.*?(?=^    \S)", "", lab.show()), lab.show(2),
            lab.op("account", "show"), lab.op("portal", "show")]
    for lun in (1, 2):
        for page in ("0x80", "0x83"):
            seen.append(lab.run("iscsi-inq", "-e", "1", "-c", str(int(page, 16)), lab.url(1, lun)).stdout)
        seen.append(lab.run("iscsi-inq", lab.url(1, lun)).stdout)
    return seen


def same(lab, before):
    after = state(lab)
    for a, b in zip(before, after):
        need(a == b, f"before:\n{a}\nafter:\n{b}")
    out = lab.run("qemu-io", "-f", "raw", "-c", "read -P 0x77 0 1M", lab.url()).stdout
    need("failed" not in out, out)


@case("no two LUNs have one identity")
def _(lab):
    pages = [lab.run("iscsi-inq", "-e", "1", "-c", str(0x83), lab.url(tid, lun)).stdout
             for tid in (1, 2) for lun in (1, 2)]
    need(len(set(pages)) == 4, "\n".join(pages))


@case("both daemons end at SIGTERM and come back with everything")
def _(lab):
    before = state(lab)
    for d in reversed(lab.daemons):
        wrong = d.stop()
        need(not wrong, wrong)
    lab.start()
    same(lab, before)


@case("the gateway killed: the management daemon configures the new one")
def _(lab):
    before = state(lab)
    lab.gateway.kill()
    lab.start()
    same(lab, before)


@case("the management daemon killed: initiators go on, and it knows everything again")
def _(lab):
    before = state(lab)
    load = subprocess.Popen([LOAD, "write", lab.url(2, 1), lab.path("journal"), "4", "4"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    load.stdout.readline()
    lab.mgmtd.kill()
    time.sleep(0.5)
    lab.start()
    out, _ = load.communicate(timeout=120)
    need(load.returncode == 0 and " 0 sessions lost" in out, out)
    same(lab, before)


@case("a backing file that is missing at start takes down its LUN only")
def _(lab):
    for d in reversed(lab.daemons):
        d.stop()
    os.rename(lab.path("disk2.2"), lab.path("away"))
    lab.start()
    need("iscsi" in lab.op("lld", "show"))
    out = lab.run("qemu-io", "-f", "raw", "-c", "read -P 0x77 0 1M", lab.url()).stdout
    need("failed" not in out, out)
    need(lab.run("iscsi-readcapacity16", lab.url(2, 2), check=False).returncode, "a LUN without its file is ready")
    for d in reversed(lab.daemons):
        d.stop()
    os.rename(lab.path("away"), lab.path("disk2.2"))
    lab.start()
    lab.run("iscsi-readcapacity16", lab.url(2, 2))


@case("a portal over RDMA that was stored where there was a device: noted once, and TCP is served")
def _(_lab):
    if os.path.isdir("/sys/class/infiniband") and os.listdir("/sys/class/infiniband"):
        raise Skip("this machine has RDMA")
    with Lab() as lab:
        lab.target(1)
        lab.lun(1, 1, lab.file("disk", SIZE))
        # With the first change of portals all are stored.
        lab.op("portal", "new", "--param", f"portal=127.0.0.1:{free_port()}")
        lab.mgmtd.stop()
        db = sqlite3.connect(lab.path("state", "config.db"))
        key = f"portal:{lab.portal}/iser"
        body = {"key": key, "host": "127.0.0.1", "port": lab.port, "tpgt": 1, "advertise": None, "transport": "iser"}
        db.execute("INSERT INTO object(key,body) VALUES(?,?)", (key, json.dumps(body)))
        db.commit()
        db.close()
        lab.gateway.stop()
        lab.start()
        wait_for(lambda: lab.iqn() in lab.run("iscsi-ls", lab.portal_url(), check=False).stdout, 20, "TCP is served")
        lab.run("iscsi-readcapacity16", lab.url())
        shown = lab.op("portal", "show")
        need(f"Portal: {lab.portal},1\n    Transport: iser\n    Trouble: " in shown, shown)
        time.sleep(5)  # it has been tried again
        for d in lab.daemons:
            with open(d.log, encoding="utf-8") as f:
                noted = [line for line in f if key in line]
            need(len(noted) <= 1, "".join(noted))
        need("    iser: error\n" in lab.op("lld", "show"))
        lab.op("portal", "delete", "--param", f"portal={lab.portal},transport=iser")
        lab.run("iscsi-readcapacity16", lab.url())


require_built()
if STANDIN:
    print("the stand-in keeps nothing across a restart")
    raise SystemExit(77)
with Lab() as lab_:
    setup(lab_)
    failed = run(lab_)
raise SystemExit(failed)
