#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The second engine, asked for by name and chosen where io_uring is forbidden."""
# runner: timeout=120
import os
import subprocess
import sys

import _path  # noqa: F401
from lab import BUILD, STANDIN, Lab, Refused, require_built
from tap import Skip, case, need, run

MIB = 1 << 20
SIZE = 64 * MIB
NO_URING = os.path.join(BUILD, "tests", "lib", "no_uring")
# LUN number → how its file is opened
LUNS = {1: "", 2: "direct", 3: "sync"}


def log(lab):
    with open(lab.gateway.log, encoding="utf-8") as f:
        return f.read()


def engine(lab):
    for line in lab.op("system", "show").splitlines():
        if line.strip().startswith("Engine: "):
            return line.split()[-1]
    return None


def lun(lab, number, flags):
    path = lab.file(f"disk{number}", SIZE)
    try:
        lab.lun(1, number, path, None, *(["--bsoflags", flags] if flags else []))
        lab.op("logicalunit", "update", "--tid", 1, "--lun", number, "--params", "thin_provisioning=1")
    except Refused as r:
        if "no direct I/O" in r.err:
            return None  # a file system without direct I/O
        raise
    return path


def exercise(lab, number, path):
    """Writes, flushes, reads back, unmaps; what the file holds is looked at from outside."""
    url = lab.url(1, number)
    lab.run("qemu-io", "-f", "raw", "-c", "write -P 0x5a 512 1536", "-c", "write -P 0x11 1M 4M",
            "-c", "write -f -P 0x22 16M 64k", "-c", "flush", "-c", "read -P 0x5a 512 1536", "-c", "read -P 0x11 1M 4M",
            "-c", "aio_read -P 0x22 16M 64k", "-c", "aio_read -P 0x11 2M 1M", "-c", "aio_flush", url)
    with open(path, "rb") as f:
        f.seek(512)
        need(f.read(1536) == b"\x5a" * 1536, "the first write is not in the file")
        f.seek(MIB)
        need(f.read(4 * MIB) == b"\x11" * 4 * MIB, "the large write is not in the file")
    used = os.stat(path).st_blocks
    lab.run("qemu-io", "-f", "raw", "-d", "unmap", "-c", "discard 1M 4M", "-c", "read -P 0 1M 4M",
            "-c", "read -P 0x5a 512 1536", url)
    need(os.stat(path).st_blocks <= used - 4 * MIB // 512, "the range was not freed")


def all_luns(lab):
    lab.target(1)
    for number, flags in LUNS.items():
        path = lun(lab, number, flags)
        if path:
            exercise(lab, number, path)
    out = lab.run("iscsi-perf", "-t", "2", "-b", "8", "-m", "32", "-r", lab.url(1, 1))
    need("iops average" in out.stdout and "error" not in out.stderr.lower(), out.stdout + out.stderr)


def forbidden(lab, *args):
    """The gateway under a filter that knows no io_uring."""
    if not os.access(NO_URING, os.X_OK):
        raise Skip(f"{NO_URING} is not built")
    if subprocess.run([NO_URING, "true"], check=False).returncode == 77:
        raise Skip("seccomp filters cannot be set here")
    lab.gateway.argv = [NO_URING, os.path.join(BUILD, "lichgated"), "-f", *args]


@case("--engine epoll: writes, reads, flushes, FUA, unmaps; cached, direct and sync")
def _():
    with Lab(gateway_args=("--engine", "epoll")) as lab:
        need(engine(lab) == "epoll", log(lab))
        need("engine=epoll" in log(lab), log(lab))
        all_luns(lab)


@case("where io_uring is forbidden, epoll takes its place and says so once")
def _():
    with Lab(start=False) as lab:
        forbidden(lab)
        lab.start()
        need(engine(lab) == "epoll", log(lab))
        need(log(lab).count("epoll takes the place of io_uring") == 1, log(lab))
        all_luns(lab)


@case("--engine uring where it is forbidden: one sentence and exit 1")
def _():
    with Lab(start=False) as lab:
        forbidden(lab, "--engine", "uring")
        p = subprocess.run(lab.gateway.argv, env=lab.env, capture_output=True, text=True, timeout=30, check=False)
        need(p.returncode == 1, f"exit {p.returncode}: {p.stderr}")
        need("io_uring is not to be had" in p.stderr and len(p.stderr.splitlines()) == 1, p.stderr)


@case("what epoll wrote, io_uring reads")
def _():
    with Lab(gateway_args=("--engine", "epoll")) as lab:
        lab.target(1)
        lun(lab, 1, "")
        lab.run("qemu-io", "-f", "raw", "-c", "write -P 0x77 3M 2M", "-c", "flush", lab.url(1, 1))
        lab.gateway.kill()
        lab.gateway.argv = [os.path.join(BUILD, "lichgated"), "-f"]
        lab.start()
        lab.run("qemu-io", "-f", "raw", "-c", "read -P 0x77 3M 2M", lab.url(1, 1))


require_built()
if STANDIN:
    print("skip: tgtd has no engines")
    sys.exit(77)
sys.exit(run())
