#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A LUN that grows while an initiator is attached."""
import os
import subprocess

import _path  # noqa: F401
from lab import BUILD, SCALE, STANDIN, Lab, require_built
from tap import Skip, case, need, run

WATCH = os.path.join(BUILD, "tests/lib/watch")
OLD, NEW = 32 << 20, 80 << 20


def watched(lab, lun, grow):
    """What an attached initiator sees while grow() runs."""
    p = subprocess.Popen([WATCH, lab.url(1, lun), str(10 * SCALE)], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    first = p.stdout.readline()
    need(first == f"capacity {OLD}\n", first)
    grow()
    out, _ = p.communicate(timeout=30 * SCALE)
    need("attention 2a/09" in out, f"no CAPACITY DATA HAS CHANGED: {out}")
    need(f"capacity {NEW}" in out, out)


@case("a grown file, announced by update: unit attention 2A/09 and the new size")
def _(lab):
    if STANDIN:
        raise Skip("the stand-in cannot grow a LUN")

    def grow():
        os.truncate(lab.path("disk1"), NEW)
        lab.op("logicalunit", "update", "--tid", 1, "--lun", 1, "--params", f"size={NEW}")
    watched(lab, 1, grow)


@case("update --params size= grows the file and the LUN")
def _(lab):
    if STANDIN:
        raise Skip("the stand-in cannot grow a LUN")
    watched(lab, 2, lambda: lab.op("logicalunit", "update", "--tid", 1, "--lun", 2, "--params", f"size={NEW}"))
    need(os.path.getsize(lab.path("disk2")) == NEW, "the file has another size")
    need("Size: 84 MB" in lab.show(), lab.show())


require_built()
with Lab() as lab_:
    lab_.target(1)
    lab_.lun(1, 1, lab_.file("disk1", OLD))
    lab_.lun(1, 2, lab_.file("disk2", OLD))
    failed = run(lab_)
raise SystemExit(failed)
