#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Wrong input gets one sentence and a non-zero exit, and changes nothing."""
# runner: timeout=120
import os
import socket
import subprocess

import _path  # noqa: F401
from lab import BUILD, STANDIN, Lab, Refused, require_built
from tap import Skip, case, need, run

SIZE = 16 << 20


def state(lab):
    return [lab.op(mode, "show") for mode in ("target", "account", "portal", "system")]


def refused(lab, *args):
    """lgtadm ARGS must fail with one line and leave everything as it was."""
    before = state(lab)
    try:
        lab.tadm(*args)
    except Refused as r:
        said = [line for line in r.err.splitlines() if line.strip() and not line.startswith("Try `")]
        need(len(said) == 1, f"{args}: {len(said)} lines:\n{r.err}")
        print(f"    {' '.join(map(str, args))}\n      exit {r.code}: {said[0]}")
    else:
        raise AssertionError(f"{args} was accepted")
    need(state(lab) == before, f"{args} was refused and yet changed something")


def table(lab, rows):
    for row in rows:
        refused(lab, "--lld", "iscsi", *row.format(d=lab.dir, iqn=lab.iqn(9)).split())


@case("a bad option")
def _(lab):
    table(lab, ["--mode target --op new --tid 9 --no-such-option",
                "--mode nothing --op show",
                "--mode target --op explode --tid 1"])


@case("a target that exists, does not exist, or has no proper name")
def _(lab):
    table(lab, ["--mode target --op new --tid 1 --targetname {iqn}",
                "--mode target --op new --tid 9 --targetname iqn.2026-11.org.example:t1",
                "--mode target --op new --tid 9",
                "--mode target --op new --tid 9 --targetname bad/name",
                "--mode target --op new --tid 99999999999 --targetname {iqn}",
                "--mode target --op delete --tid 77",
                "--mode target --op update --tid 1 --name MaxBurstLength --value 99999999999",
                "--mode target --op update --tid 1 --name NoSuchKey --value 1",
                "--mode target --op bind --tid 1 --initiator-address 300.1.2.3"])


@case("a missing file, a directory, a file twice too short, a LUN that exists")
def _(lab):
    with open(lab.path("empty"), "wb"):
        pass
    table(lab, ["--mode logicalunit --op new --tid 1 --lun 5 --backing-store {d}/missing",
                "--mode logicalunit --op new --tid 1 --lun 5 --backing-store {d}",
                "--mode logicalunit --op new --tid 1 --lun 1 --backing-store {d}/disk",
                "--mode logicalunit --op new --tid 1 --lun 5 --backing-store {d}/disk --bstype nosuch",
                "--mode logicalunit --op new --tid 1 --lun 5 --backing-store {d}/disk --blocksize 700",
                "--mode logicalunit --op new --tid 8 --lun 5 --backing-store {d}/disk",
                "--mode logicalunit --op delete --tid 1 --lun 6",
                "--mode logicalunit --op update --tid 1 --lun 1 --params nonsense=1"])
    if not STANDIN:
        table(lab, ["--mode logicalunit --op new --tid 1 --lun 5 --backing-store {d}/empty"])


@case("a device that nobody can read")
def _(lab):
    refused(lab, "--lld", "iscsi", "--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "5",
            "--backing-store", "/dev/no-such-disk")
    refused(lab, "--lld", "iscsi", "--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "5",
            "--backing-store", "/dev/null")


@case("accounts: twice, unknown, secrets that CHAP forbids")
def _(lab):
    table(lab, ["--mode account --op new --user eve --password another-password",
                "--mode account --op delete --user nobody",
                "--mode account --op bind --tid 1 --user nobody",
                "--mode account --op new --user frank"])


@case("a port in use")
def _(lab):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        refused(lab, "--lld", "iscsi", "--mode", "portal", "--op", "new", "--param",
                f"portal=127.0.0.1:{s.getsockname()[1]}")


@case("a portal over RDMA where there is none")
def _(lab):
    if STANDIN:
        raise Skip("tgt has no such portals")
    if os.path.isdir("/sys/class/infiniband") and os.listdir("/sys/class/infiniband"):
        raise Skip("this machine has RDMA")
    refused(lab, "--mode", "portal", "--op", "new", "--param", f"portal={lab.portal},transport=iser")
    refused(lab, "--lld", "iser", "--mode", "portal", "--op", "new", "--param", f"portal={lab.portal}")
    refused(lab, "--lld", "iser", "--mode", "target", "--op", "new", "--tid", 9, "--targetname", lab.iqn(9))
    table(lab, ["--mode portal --op new --param portal=127.0.0.1,transport=rdma",
                "--mode portal --op delete --param portal=127.0.0.1,transport=iser"])


@case("a second daemon in the same directories")
def _(lab):
    if STANDIN:
        raise Skip("about our own daemons")
    for name in ("lichgated", "lichgate-mgmtd"):
        p = subprocess.run([os.path.join(BUILD, name), "-f"], env=lab.env, capture_output=True, text=True, timeout=60,
                           stdin=subprocess.DEVNULL, check=False)
        need(p.returncode, f"a second {name} runs")
        need((p.stdout + p.stderr).strip(), f"a second {name} says nothing")
    need(lab.listens() and lab.tadm_code("--mode", "system", "--op", "show") == 0, "the first daemons suffered")


@case("daemons: a bad option")
def _(lab):
    if STANDIN:
        raise Skip("about our own daemons")
    for name in ("lichgated", "lichgate-mgmtd"):
        p = lab.run(os.path.join(BUILD, name), "--no-such-option", check=False)
        need(p.returncode and p.stderr.strip(), name)


@case("no daemon: exit 107")
def _(lab):
    p = lab.run(lab.tadm_path, "--mode", "target", "--op", "show", check=False,
                env={"TGT_IPC_SOCKET": lab.path("nobody"), "LGT_RUN_DIR": lab.path("nowhere")})
    need(p.returncode == 107, f"{p.returncode} {p.stderr}")


@case("a full disk: refused, unchanged, and good again when there is room")
def _(lab):
    if STANDIN:
        raise Skip("the stand-in keeps nothing on disk")
    if os.geteuid() != 0:
        raise Skip("mounting a small file system needs root")
    with Lab(start=False) as small:
        state_dir = small.path("state")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", state_dir], capture_output=True,
                          check=False).returncode:
            raise Skip("mounting is not allowed here")
        try:
            small.start()
            with open(os.path.join(state_dir, "filler"), "wb", buffering=0) as f:
                try:
                    while f.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
            refused_once = False
            # The store may have some room of its own.
            for tid in range(1, 200):
                before = state(small)
                try:
                    small.target(tid)
                except Refused as r:
                    refused_once = True
                    need(len(r.err.strip().splitlines()) == 1, r.err)
                    # target() is two changes: the first may have been made.
                    small.tadm_code("--lld", "iscsi", "--mode", "target", "--op", "delete", "--tid", tid)
                    need(state(small) == before or f"Target {tid}:" in small.show(), "something else changed")
                    break
            need(refused_once, "200 targets fit on a full disk")
            os.unlink(os.path.join(state_dir, "filler"))
            small.target(500)
            for d in reversed(small.daemons):
                d.stop()
        finally:
            subprocess.run(["umount", "-l", state_dir], check=False)


require_built()
with Lab() as lab_:
    lab_.target(1)
    lab_.lun(1, 1, lab_.file("disk", SIZE))
    lab_.op("account", "new", "--user", "eve", "--password", "password-of-eve")
    failed = run(lab_)
raise SystemExit(failed)
