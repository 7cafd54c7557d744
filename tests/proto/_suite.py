# SPDX-License-Identifier: BSD-3-Clause
"""Runs each test_* function of a module against one gateway that must survive them all.

After every test a fresh session reads the first block of the LUN: a test fails if its neighbour would
have noticed it.
"""
import os
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True

from _initiator import attach  # noqa: E402
import lab  # noqa: E402

TARGET = "iqn.2026-11.test:proto"
SIZE = 64 << 20


class Gateway:
    """What a test needs to know: where, which target, and a file behind LUN 1 (64 MiB, 512-byte blocks)."""

    def __init__(self, l):
        self.lab, self.target = l, TARGET
        self.addr = ("127.0.0.1", l.port)
        self.path = l.file("disk", SIZE)
        l.target(1, TARGET)
        l.lun(1, 1, self.path)


def neighbour(gw):
    with attach(gw.addr, gw.target, name="iqn.2026-11.test:neighbour") as i:
        rsp, data = i.read_blocks(0, 1)
        assert rsp.status == 0 and len(data) == 512


def run(names, gateway_args=()):
    failed = 0
    with lab.Lab(gateway_args) as l:
        gw = Gateway(l)
        for name, fn in list(names.items()):
            if not name.startswith("test_"):
                continue
            try:
                fn(gw)
                neighbour(gw)
                print("ok", name[5:].replace("_", " "), flush=True)
            except Exception:
                failed = 1
                print("not ok", name[5:].replace("_", " "))
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
                if not l.gateway.alive():
                    break
    sys.exit(failed)
