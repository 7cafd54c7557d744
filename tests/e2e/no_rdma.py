#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Built without RDMA: no library of it is needed, TCP is served, and an RDMA portal is refused."""
# runner: timeout=300
import os
import subprocess

import _path  # noqa: F401
import lab
from tap import Skip, case, need, run

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
HERE = os.path.join(lab.BUILD, "no-rdma")


@case("make RDMA=0 builds programs that know no RDMA library")
def _():
    if os.environ.get("LGT_SAN"):
        raise Skip("a build of its own, made and tested where the others are not instrumented")
    made = subprocess.run(["make", "-C", TOP, "-j2", "DEPS=0", "RDMA=0", "SAN=", "B=" + HERE, "all"],
                          env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    need(made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:])
    needs = subprocess.run(["ldd", os.path.join(HERE, "lichgated")], capture_output=True, text=True, check=True).stdout
    need("libc.so" in needs and "rdma" not in needs and "ibverbs" not in needs, needs)


@case("they serve a LUN over TCP, and refuse a portal over RDMA in one sentence")
def _():
    if os.environ.get("LGT_SAN"):
        raise Skip("a build of its own, made and tested where the others are not instrumented")
    lab.BUILD = HERE
    with lab.Lab() as one:
        one.target(1)
        one.lun(1, 1, one.file("disk", 1 << 20))
        need(one.iqn(1) in one.run("iscsi-ls", "-s", one.portal_url()).stdout, "the LUN is not served")
        try:
            one.op("portal", "new", "--param", f"portal={one.portal},transport=iser")
            raise AssertionError("the portal was taken")
        except lab.Refused as r:
            need("built without RDMA" in r.err, r.err)
        need("iser" not in one.op("portal", "show"), "the portal is there")


raise SystemExit(run())
