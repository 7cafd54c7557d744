# SPDX-License-Identifier: BSD-3-Clause
"""Linux's initiator: a file system on a LUN through CHAP, digests, growth and a gateway that is killed."""
import os
import subprocess
import time

import _initiator as ini
from lab import SCALE, STANDIN, Lab, wait_for
from tap import Skip, case, need, run

SIZE = 256 << 20
MOUNT = "/tmp/mnt"
FIO = ["fio", "--name=v", "--rw=randwrite", "--bs=4k", "--size=24M", "--ioengine=libaio", "--iodepth=16", "--direct=1",
       "--verify=crc32c", "--verify_fatal=1", "--randseed=7", "--group_reporting", "--output-format=terse"]


def chap(lab, iqn, user, password, out_user, out_password, algs):
    ini.settings(iqn, lab.portal, {
        "node.session.auth.authmethod": "CHAP",
        "node.session.auth.chap_algs": algs,
        "node.session.auth.username": user, "node.session.auth.password": password,
        "node.session.auth.username_in": out_user, "node.session.auth.password_in": out_password})


def file_system(lab, iqn):
    """mkfs, verified random writes, logout, login, fsck, and the data again."""
    disk = ini.login(iqn, lab.portal)
    ini.sh("mkfs.ext4", "-q", "-F", disk)
    os.makedirs(MOUNT, exist_ok=True)
    ini.sh("mount", disk, MOUNT)
    ini.sh(*FIO, "--directory=" + MOUNT, timeout=120)
    ini.sh("umount", MOUNT)
    ini.logout(iqn, lab.portal)
    need(ini.disk_of(iqn) is None, "the disk stays after logout")
    disk = ini.login(iqn, lab.portal)
    ini.sh("e2fsck", "-f", "-n", disk)
    ini.sh("mount", disk, MOUNT)
    ini.sh(*FIO, "--directory=" + MOUNT, "--verify_only", timeout=120)
    ini.sh("umount", MOUNT)
    need(not ini.kernel_said(r"I/O error|EXT4-fs error"), "the kernel logged errors: " + ini.sh("dmesg")[-2000:])
    return disk


@case("discovery lists every target, and mutual CHAP with SHA-256 carries a file system")
def _(lab):
    found = ini.discover(lab.portal)
    need(all(lab.iqn(t) in found for t in (1, 2, 3)), found)
    lab.account("alice", "initiator-secret", 1)
    lab.account("target1", "target-secret-1", 1, outgoing=True)
    chap(lab, lab.iqn(1), "alice", "initiator-secret", "target1", "target-secret-1", "MD5" if STANDIN else "SHA256")
    file_system(lab, lab.iqn(1))
    ini.logout(lab.iqn(1), lab.portal)


@case("a wrong secret on either side ends in no session")
def _(lab):
    iqn, algs = lab.iqn(1), "MD5" if STANDIN else "SHA256"
    for secrets in (("wrong-secret-123", "target-secret-1"), ("initiator-secret", "wrong-secret-123")):
        chap(lab, iqn, "alice", secrets[0], "target1", secrets[1], algs)
        ini.node(iqn, lab.portal, "-o", "update", "-n", "node.session.initial_login_retry_max", "-v", "1")
        ini.node(iqn, lab.portal, "--login", check=False)
        need(ini.disk_of(iqn) is None, f"{secrets} were accepted")


@case("header and data digests carry a file system")
def _(lab):
    iqn = lab.iqn(2)
    if STANDIN:
        for key in ("HeaderDigest", "DataDigest"):
            lab.op("target", "update", "--tid", 2, "--name", key, "--value", "CRC32C")
    ini.settings(iqn, lab.portal, {"node.conn[0].iscsi.HeaderDigest": "CRC32C",
                                   "node.conn[0].iscsi.DataDigest": "CRC32C"})
    file_system(lab, iqn)
    need(ini.negotiated(iqn, "header_digest") == "1" and ini.negotiated(iqn, "data_digest") == "1",
         "digests were not negotiated")
    ini.logout(iqn, lab.portal)


@case("a LUN grows under an attached initiator")
def _(lab):
    if STANDIN:
        raise Skip("the stand-in cannot grow a LUN")
    disk = ini.login(lab.iqn(3), lab.portal)
    need(ini.size_of(disk) == SIZE, f"{ini.size_of(disk)}")
    lab.op("logicalunit", "update", "--tid", 3, "--lun", 1, "--params", f"size={2 * SIZE}")
    # The kernel notes the attention with the next command; the rescan reads the capacity.
    ini.sh("dd", "if=" + disk, "of=/dev/null", "bs=4096", "count=1", "iflag=direct")
    ini.sh("iscsiadm", "-m", "session", "-R")
    wait_for(lambda: ini.size_of(disk) == 2 * SIZE, 10 * SCALE, "the new size")
    need(ini.kernel_said(r"[Cc]apacity data has changed"), "no CAPACITY DATA HAS CHANGED in the kernel's log")
    ini.logout(lab.iqn(3), lab.portal)


@case("kill -9 of the gateway during verified writes: I/O goes on without an error")
def _(lab):
    if STANDIN:
        raise Skip("the stand-in forgets its targets")
    disk = ini.login(lab.iqn(3), lab.portal)
    fio = subprocess.Popen(FIO[:4] + ["--size=48M"] + FIO[5:] + ["--filename=" + disk, "--time_based=0"], env=ini.ENV,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for _turn in range(2):
        time.sleep(1 * SCALE)
        need(fio.poll() is None, "fio ended before the gateway was killed")
        lab.gateway.kill()
        time.sleep(1)
        lab.start()
    out, _ = fio.communicate(timeout=150 * SCALE)
    need(fio.returncode == 0, out)
    ini.logout(lab.iqn(3), lab.portal)


ini.start()
with Lab() as lab_:
    for tid in (1, 2, 3):
        lab_.target(tid)
        lab_.lun(tid, 1, lab_.file(f"disk{tid}", SIZE))
    failed = run(lab_)
raise SystemExit(failed)
