# SPDX-License-Identifier: BSD-3-Clause
"""The nvme backing store under Linux's initiator: data, deallocation, errors, a reset and a device that is pulled."""
import glob
import os
import subprocess
import time

import _initiator as ini
from lab import SCALE, Lab, Refused, wait_for
from tap import case, need, run

FIO = ["fio", "--name=v", "--rw=randwrite", "--bs=4k", "--ioengine=libaio", "--iodepth=16", "--direct=1",
       "--verify=crc32c", "--verify_fatal=1", "--randseed=7", "--output-format=terse"]
MIB = 1 << 20


def namespaces():
    """Serial number of the controller → number of the kernel's names."""
    found = {}
    for path in glob.glob("/sys/class/nvme/nvme*/serial"):
        with open(path, encoding="ascii") as f:
            found[f.read().strip()] = os.path.basename(os.path.dirname(path))[4:]
    return found


def generic(name):
    return f"/dev/ng{NS[name]}n1"


def block(name):
    return f"/dev/nvme{NS[name]}n1"


def refusal(lab, path, *args):
    try:
        lab.lun(9, 1, path, "nvme", *args)
    except Refused as r:
        return r.out + r.err
    lab.op("logicalunit", "delete", "--tid", 9, "--lun", 1)
    raise AssertionError(f"{path} was accepted")


def verify(disk, size="24M", *more):
    ini.sh(*FIO, f"--filename={disk}", f"--size={size}", *more, timeout=120)


def is_zero(disk, at, size):
    with open(disk, "rb") as f:
        f.seek(at)
        return not f.read(size).strip(b"\0")


def fill(disk, at, size):
    with open(disk, "r+b", buffering=0) as f:
        f.seek(at)
        f.write(b"\xa5" * size)
        os.fsync(f.fileno())
    drop(disk)


def thin(lab, tid):
    lab.op("logicalunit", "update", "--tid", tid, "--lun", 1, "--params", "thin_provisioning=1")


def login(lab, tid):
    ini.discover(lab.portal)
    return ini.login(lab.iqn(tid), lab.portal)


def sysfs(name, disk):
    with open(f"/sys/block/{os.path.basename(disk)}/{name}", encoding="ascii") as f:
        return f.read().strip()


def drop(disk):
    ini.sh("blockdev", "--flushbufs", disk)


@case("what is no free namespace is refused in one sentence")
def _(lab):
    lab.target(9)
    said = refusal(lab, f"/dev/nvme{NS['good']}")
    need("is an NVMe controller" in said, said)
    said = refusal(lab, "/dev/vda")
    need("is no NVMe namespace" in said, said)
    said = refusal(lab, generic("large"))
    need("4096" in said, said)
    ini.sh("mkfs.ext4", "-q", "-F", block("good"))
    os.makedirs("/tmp/mnt", exist_ok=True)
    ini.sh("mount", block("good"), "/tmp/mnt")
    said = refusal(lab, generic("good"))
    need("is in use" in said, said)
    ini.sh("umount", "/tmp/mnt")
    lab.target(1)
    lab.lun(1, 1, generic("good"), "nvme")
    thin(lab, 1)
    said = refusal(lab, block("good"))
    need("another LUN already" in said, said)
    try:
        lab.lun(9, 1, block("good"))
        raise AssertionError("the block device of a LUN was accepted")
    except Refused as r:
        need("another LUN already" in r.out + r.err, r.out + r.err)
    need(subprocess.run(["mount", block("good"), "/tmp/mnt"], env=ini.ENV, capture_output=True,
                        check=False).returncode != 0, "a LUN could be mounted")


@case("blocks of 512 bytes carry verified random writes, small and large")
def _(lab):
    disk = login(lab, 1)
    verify(disk)
    verify(disk, "32M", "--bs=1M", "--iodepth=4")
    verify(disk, "4M", "--bs=512", "--io_size=512k")
    need(ini.size_of(disk) == 64 * MIB, str(ini.size_of(disk)))


@case("UNMAP and WRITE SAME take what they are told, and WRITE SAME leaves zeroes")
def _(lab):
    disk = ini.disk_of(lab.iqn(1))
    # QEMU's namespaces do not promise zeroes after Write Zeroes with DEAC, so neither do we after UNMAP.
    need(sysfs("queue/discard_zeroes_data", disk) == "0", "zeroes are promised")
    need(int(sysfs("queue/discard_max_bytes", disk)) > 0, "there is no UNMAP")
    for how in ([], ["-z"]):
        fill(disk, 0, 8 * MIB)
        ini.sh("blkdiscard", *how, "-o", 1 * MIB, "-l", 5 * MIB, disk)
        drop(disk)
        need(is_zero(disk, 1 * MIB, 5 * MIB), f"blkdiscard {how} left data")
        with open(disk, "rb") as f:
            data = f.read(8 * MIB)
        need(data[:MIB] == b"\xa5" * MIB and data[6 * MIB:] == b"\xa5" * 2 * MIB, f"blkdiscard {how} took more")
    ini.sh("sg_sync", disk)


@case("a namespace with blocks of 4096 bytes is a LUN with such blocks")
def _(lab):
    lab.target(2)
    lab.lun(2, 1, block("large"), "nvme", "--blocksize", 4096, "--bsopts", "dsm=1", "--bsoflags", "sync")
    thin(lab, 2)
    disk = login(lab, 2)
    verify(disk)
    verify(disk, "32M", "--bs=512k", "--iodepth=4")
    fill(disk, 0, 4 * MIB)
    ini.sh("blkdiscard", "-o", MIB, "-l", MIB, disk)
    drop(disk)
    with open(disk, "rb") as f:
        data = f.read(4 * MIB)
    need(data[:MIB] == b"\xa5" * MIB and data[2 * MIB:] == b"\xa5" * 2 * MIB, "UNMAP took more")
    ini.sh("blkdiscard", "-z", "-o", 0, "-l", 2 * MIB, disk)
    drop(disk)
    need(is_zero(disk, 0, 2 * MIB), "WRITE SAME left data")


@case("polled queues carry the same data")
def _(lab):
    disk = ini.disk_of(lab.iqn(2))
    ini.logout(lab.iqn(2), lab.portal)
    lab.op("logicalunit", "delete", "--tid", 2, "--lun", 1)
    lab.lun(2, 1, generic("large"), "nvme", "--blocksize", 4096, "--bsopts", "iopoll=1")
    disk = login(lab, 2)
    verify(disk, "8M")
    # Flushes amid polled writes: they have no data that the kernel could poll for.
    verify(disk, "8M", "--fsync=4")
    ini.logout(lab.iqn(2), lab.portal)


@case("the other engine carries the same data, by a ring beside it")
def _(lab):
    lab.op("logicalunit", "delete", "--tid", 2, "--lun", 1)
    with Lab(gateway_args=["--engine", "epoll"]) as other:
        other.target(2)
        other.lun(2, 1, generic("large"), "nvme", "--blocksize", 4096)
        disk = login(other, 2)
        verify(disk, "8M")
        verify(disk, "16M", "--bs=512k", "--iodepth=4")
        ini.logout(other.iqn(2), other.portal)


@case("a reset of the controller in the midst of verified writes is not noticed by the initiator")
def _(lab):
    disk = ini.disk_of(lab.iqn(1))
    fio = subprocess.Popen([*FIO, "--size=24M", "--filename=" + disk], env=ini.ENV, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for _turn in range(3):
        time.sleep(0.5)
        with open(f"/sys/class/nvme/nvme{NS['good']}/reset_controller", "w", encoding="ascii") as f:
            f.write("1")
    out, _ = fio.communicate(timeout=120 * SCALE)
    need(fio.returncode == 0, out)
    ini.logout(lab.iqn(1), lab.portal)


@case("a bad sector is a medium error, its neighbours are read")
def _(lab):
    lab.target(3)
    lab.lun(3, 1, generic("bad"), "nvme")
    disk = login(lab, 3)
    p = subprocess.run(["dd", "if=" + disk, "of=/dev/null", "bs=512", "skip=2048", "count=1", "iflag=direct"],
                       env=ini.ENV, capture_output=True, text=True, check=False)
    need(p.returncode != 0, "the bad sector was read")
    need(ini.kernel_said(r"Sense Key : Medium Error"), ini.sh("dmesg")[-2000:])
    ini.sh("dd", "if=" + disk, "of=/dev/null", "bs=512", "skip=2056", "count=8", "iflag=direct")


@case("a device that is pulled in the midst of I/O ends in NOT READY, and the gateway lives")
def _(lab):
    disk = ini.disk_of(lab.iqn(3))
    fio = subprocess.Popen(["fio", "--name=p", "--rw=randrw", "--bs=4k", "--ioengine=libaio", "--iodepth=16",
                            "--direct=1", "--size=32M", "--offset=8M", "--time_based", "--runtime=600",
                            "--filename=" + disk, "--output-format=terse"], env=ini.ENV, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1)
    need(fio.poll() is None, "fio ended too early")
    print("@pull bad", flush=True)
    out, _ = fio.communicate(timeout=60 * SCALE)
    need(fio.returncode != 0, out)
    wait_for(lambda: not os.path.exists(generic("bad")), 30 * SCALE, "the device is gone")
    # 2: NOT READY, once the gateway has looked at its devices.
    wait_for(lambda: subprocess.run(["sg_turs", disk], env=ini.ENV, capture_output=True, check=False).returncode == 2,
             10 * SCALE, "the LUN is not ready")
    need(lab.gateway.alive(), "the gateway has ended")
    ini.logout(lab.iqn(3), lab.portal)
    disk = login(lab, 1)
    verify(disk, "2M")
    ini.logout(lab.iqn(1), lab.portal)
    lab.op("logicalunit", "delete", "--tid", 3, "--lun", 1)


ini.start()
ini.sh("modprobe", "nvme", "poll_queues=1")
wait_for(lambda: len(glob.glob("/dev/ng*n1")) == 3, 30 * SCALE, "the namespaces are there")
NS = namespaces()
with Lab() as lab_:
    failed = run(lab_)
raise SystemExit(failed)
