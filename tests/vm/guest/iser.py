# SPDX-License-Identifier: BSD-3-Clause
"""Linux's iSER initiator on soft RoCE: discovery, mutual CHAP, verified data of all sizes, and TCP beside it."""
import os
import subprocess

import _initiator as ini
import _iser
from tap import Skip, case, need, run

MIB = 1 << 20
# Block size, depth, how much: each its own part of the disk. Few large ones, since every byte is copied by an emulated CPU.
JOBS = (("512", 1, "96k"), ("512", 64, "256k"), ("4k", 1, "1m"), ("4k", 64, "4m"), ("3584", 16, "700k"), ("64k", 16, "8m"),
        ("256k", 16, "16m"), ("1m", 1, "8m"), ("1m", 64, "64m"))
PART = 64 * MIB
SIZE = PART * len(JOBS)
CONFLICT = 24  # sg_raw's exit code for RESERVATION CONFLICT
RESERVE, RELEASE = ("16", "00", "00", "00", "00", "00"), ("17", "00", "00", "00", "00", "00")
WRITE_BLOCK = ("2a", "00", "00", "00", "00", "00", "00", "00", "01", "00")
READ_BLOCK = ("28", "00", "00", "00", "00", "00", "00", "00", "01", "00")


def chap(lab, tid, user, password, out_user, out_password):
    ini.settings(lab.iqn(tid), lab.iser, {
        "node.session.auth.authmethod": "CHAP", "node.session.auth.chap_algs": "MD5" if _iser.REFERENCE else "SHA256",
        "node.session.auth.username": user, "node.session.auth.password": password,
        "node.session.auth.username_in": out_user, "node.session.auth.password_in": out_password}, "iser")


def jobs(disk, *more):
    """One run of fio after the other, in one process."""
    argv = [*_iser.FIO, "--rw=randwrite", f"--filename={disk}", *more]
    for i, (size, depth, amount) in enumerate(JOBS):
        argv += [f"--name=b{size}d{depth}", "--stonewall", f"--bs={size}", f"--iodepth={depth}", f"--size={amount}",
                 f"--offset={i * PART}"]
    return ini.sh(*argv, timeout=60)


def large(disk):
    """Lets the kernel send blocks of 1 MiB whole."""
    with open(f"/sys/block/{os.path.basename(disk)}/queue/max_sectors_kb", "w", encoding="ascii") as f:
        f.write("1024")


@case("discovery over iSER lists every target")
def _(lab):
    found = ini.discover(lab.iser, "iser")
    need(all(lab.iqn(t) in found for t in (1, 2)), found)
    ini.node(lab.iqn(2), lab.portal, "-o", "new", iface="default")


@case("mutual CHAP over iSER lets in who knows both secrets, and nobody else")
def _(lab):
    lab.account("alice", "initiator-secret", 1)
    lab.account("target1", "target-secret-1", 1, outgoing=True)
    ini.node(lab.iqn(1), lab.iser, "-o", "update", "-n", "node.session.initial_login_retry_max", "-v", "1", iface="iser")
    for secrets in (("wrong-secret-123", "target-secret-1"), ("initiator-secret", "wrong-secret-123")):
        chap(lab, 1, "alice", secrets[0], "target1", secrets[1])
        ini.node(lab.iqn(1), lab.iser, "--login", iface="iser", check=False)
        need(ini.disk_of(lab.iqn(1)) is None, f"{secrets} were accepted")
    chap(lab, 1, "alice", "initiator-secret", "target1", "target-secret-1")
    ini.node(lab.iqn(1), lab.iser, "-o", "update", "-n", "node.session.initial_login_retry_max", "-v", "4", iface="iser")
    _iser.login(lab, 1)


@case("blocks of 512 bytes to 1 MiB at depths 1 to 64 carry verified data, and it is there after another login")
def _(lab):
    disk = ini.disk_of(lab.iqn(1), "iser")
    large(disk)
    jobs(disk)
    _iser.logout(lab, 1)
    need(ini.disk_of(lab.iqn(1)) is None, "the disk stays after logout")
    disk = _iser.login(lab, 1)
    large(disk)
    jobs(disk, "--verify_only")
    _iser.logout(lab, 1)
    need(not ini.kernel_said(r"I/O error"), ini.sh("dmesg")[-2000:])


def raw(disk, *cdb, more=()):
    return subprocess.run(["sg_raw", *more, disk, *cdb], env=ini.ENV, capture_output=True, check=False).returncode


@case("what is written over TCP is read over iSER, and the reverse")
def _(lab):
    tcp, iser = _iser.login(lab, 2, "default"), _iser.login(lab, 2, "iser")
    need(tcp != iser, "one disk only")
    _iser.fio(tcp, "--size=4m", "--bs=16k", "--iodepth=8")
    _iser.fio(iser, "--size=4m", "--bs=16k", "--iodepth=8", "--verify_only")
    _iser.fio(iser, "--size=4m", "--offset=8m", "--bs=16k", "--iodepth=8", "--randseed=9")
    _iser.fio(tcp, "--size=4m", "--offset=8m", "--bs=16k", "--iodepth=8", "--randseed=9", "--verify_only")


@case("verified writes over TCP and iSER go on at the same time on one LUN")
def _(lab):
    tcp, iser = ini.disk_of(lab.iqn(2), "default"), ini.disk_of(lab.iqn(2), "iser")
    both = [_iser.fio_start(tcp, "--size=8m", "--bs=4k", "--iodepth=16"),
            _iser.fio_start(iser, "--size=8m", "--offset=16m", "--bs=4k", "--iodepth=16")]
    for fio in both:
        out, _ = fio.communicate(timeout=600)
        need(fio.returncode == 0, out)


def needs_nexus():
    if _iser.REFERENCE:
        raise Skip("to the reference all sessions of an initiator's name are one")


@case("a reservation made over one transport is a conflict on the other")
def _(lab):
    needs_nexus()
    tcp, iser = ini.disk_of(lab.iqn(2), "default"), ini.disk_of(lab.iqn(2), "iser")
    with open("/tmp/block", "wb") as f:
        f.write(b"\x5a" * 512)
    out, back = ("-s", "512", "-i", "/tmp/block"), ("-r", "512", "-o", "/tmp/read")
    for holder, other in ((tcp, iser), (iser, tcp)):
        for disk in (holder, other):
            raw(disk, "00", "00", "00", "00", "00", "00")  # what attention there may be is taken here
        need(raw(holder, *RESERVE) == 0, "RESERVE failed")
        for what, cdb, more in (("WRITE", WRITE_BLOCK, out), ("READ", READ_BLOCK, back), ("RESERVE", RESERVE, ())):
            code = raw(other, *cdb, more=more)
            need(code == CONFLICT, f"{what} from the other session: {code}")
            need(raw(holder, *cdb, more=more) == 0, f"{what} from the holder failed")
        need(raw(other, *RELEASE) == 0, "RELEASE of another's reservation is no error")
        need(raw(other, *WRITE_BLOCK, more=out) == CONFLICT, "another's RELEASE was obeyed")
        need(raw(holder, *RELEASE) == 0, "RELEASE failed")
        need(raw(other, *WRITE_BLOCK, more=out) == 0, "the reservation stays after RELEASE")
        need(raw(other, *RESERVE) == 0 and raw(holder, *WRITE_BLOCK, more=out) == CONFLICT, "the other cannot reserve")
        need(raw(other, *RELEASE) == 0, "RELEASE failed")


@case("a reservation ends with the session that made it")
def _(lab):
    needs_nexus()
    tcp, iser = ini.disk_of(lab.iqn(2), "default"), ini.disk_of(lab.iqn(2), "iser")
    need(raw(iser, *RESERVE) == 0, "RESERVE failed")
    need(raw(tcp, *WRITE_BLOCK, more=("-s", "512", "-i", "/tmp/block")) == CONFLICT, "no reservation")
    _iser.logout(lab, 2)
    need(raw(tcp, *WRITE_BLOCK, more=("-s", "512", "-i", "/tmp/block")) == 0, "the reservation stays after logout")
    _iser.logout(lab, 2, "default")


ini.start(_iser.MODULE)
with _iser.gateway() as lab_:
    _iser.add(lab_, 1, SIZE)
    _iser.add(lab_, 2, 64 * MIB)
    failed = run(lab_)
raise SystemExit(failed)
