#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The functions of the initramfs's script that need no machine."""
import fnmatch
import os
import re
import subprocess
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
from tap import case, need, run  # noqa: E402

SCRIPT = os.path.join(TOP, "appliance-image/rootfs/etc/initramfs-tools/scripts/lichgate")


def shell(text):
    """Output and errors of commands behind the script, with the panic of initramfs-tools."""
    return subprocess.run(["sh", "-c", f'panic() {{ echo "$@"; exit 1; }}; . "$0"; {text}', SCRIPT],
                          capture_output=True, text=True, check=False)


@case("udev's rule means the system's disk and its partitions, and no disk with a longer name")
def _():
    for disk, its, others in (
            ("sda", ("sda", "sda1", "sda15"), ("sdaa", "sdaa1", "sdb")),
            ("vda", ("vda", "vda4"), ("vdaa", "vdb1")),
            ("nvme0n1", ("nvme0n1", "nvme0n1p1", "nvme0n1p12"), ("nvme0n10", "nvme0n10p1", "nvme0n2")),
            ("mmcblk0", ("mmcblk0", "mmcblk0p2"), ("mmcblk0boot0", "mmcblk01"))):
        rule = shell(f"lichgate_rules {disk}").stdout.splitlines()[0]
        globs = re.search('KERNEL=="([^"]*)"', rule)[1].split("|")
        for name in its + others:
            need(any(fnmatch.fnmatchcase(name, g) for g in globs) == (name in its), f"{name}: {rule}")
        need('GROUP:="0", MODE:="0600"' in rule, rule)


@case("a panic of a function that is called for its output is seen")
def _():
    said = shell("part=$(lichgate_part nodisk lichgate-a)")
    need("/dev/nodisk has no partition lichgate-a" in said.stderr, str(said))


@case("without options of its boot.cfg a slot is given up by a restart as well, and not for a shell")
def _():
    # The panic of initramfs-tools restarts after so many seconds, and with none opens a shell.
    for given, secs in (("", "10"), ("3", "3")):
        said = shell(f'panic={given}; panic() {{ echo "$panic: $*"; exit 1; }}; mountroot').stdout
        need(said.startswith(f"{secs}: lichgate: the kernel's command line lacks"), said)


sys.exit(run())
