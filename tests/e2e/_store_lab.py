# SPDX-License-Identifier: BSD-3-Clause
"""Stores to put LUNs on (small file systems, loop devices), and what an initiator is told about a LUN."""
import contextlib
import os
import random
import shutil
import struct
import subprocess
import sys

import _path  # noqa: F401
from lab import SCALE, STANDIN, Lab, require_built
from tap import Skip, case, need, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../proto"))
from _initiator import R2T, attach, write10  # noqa: E402

MIB = 1 << 20
# Sense: key, ASC, ASCQ
NOT_READY = (2, 0x04, 0x00)
WRITE_ERROR = (3, 0x0c, 0x00)
READ_ERROR = (3, 0x11, 0x00)
LBA_RANGE = (5, 0x21, 0x00)
CAPACITY_CHANGED = (6, 0x2a, 0x09)
MODE_CHANGED = (6, 0x2a, 0x01)
READ_ONLY = (7, 0x27, 0x00)
SPACE = (7, 0x27, 0x07)

# What the gateway chooses by itself, and the other one.
ENGINES = {"": ()}
if "LGT_ENGINE" not in os.environ:
    ENGINES[", epoll"] = ("--engine", "epoll")

# --- cases ---


def each_engine(name):
    """A case for each engine; it gets a Lab whose LUN 1 is there, and adds others."""
    def keep(func):
        for n, engine in enumerate(ENGINES):
            case(name + engine)(lambda *labs, n=n: func(labs[n]))
        return func
    return keep


def run_each_engine():
    require_built()
    if STANDIN:
        print("about our own backends")
        return 77
    with contextlib.ExitStack() as stack:
        labs = [stack.enter_context(Lab(gateway_args=args)) for args in ENGINES.values()]
        for lab in labs:
            lab.target(1)
            lab.lun(1, 1, lab.file("first", 8 * MIB))
        return run(*labs)


# --- stores: everything of them goes with this process ---


def own_mounts():
    """Goes on in a mount namespace of its own, where one can be had."""
    if os.geteuid() == 0 and "LGT_OWN_MOUNTS" not in os.environ and \
            subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0:
        os.environ["LGT_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def may_mount():
    if os.geteuid() != 0:
        raise Skip("only root may mount")


def command_or_skip(what, *argv):
    p = subprocess.run(argv, capture_output=True, text=True, check=False)
    if p.returncode:
        raise Skip(f"no {what}: {p.stderr.strip().splitlines()[0]}")
    return p.stdout.strip()


def sparse(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


@contextlib.contextmanager
def mounted(lab, name, *args):
    may_mount()
    path = lab.path(name)
    os.makedirs(path, exist_ok=True)
    command_or_skip("mount", "mount", *args, path)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@contextlib.contextmanager
def tmpfs(lab, size):
    with mounted(lab, "tmpfs", "-t", "tmpfs", "-o", f"size={size}", "lgt-test") as path:
        yield path


@contextlib.contextmanager
def loop_on(path, *args):
    """A block device on a file. It ends with its last user, so not even a killed test leaves one behind."""
    may_mount()
    dev = command_or_skip("loop device", "losetup", "-f", "--show", *args, path)
    fd = os.open(dev, os.O_RDONLY)
    try:
        subprocess.run(["losetup", "-d", dev], check=True)
        yield dev
    finally:
        os.close(fd)


@contextlib.contextmanager
def ext4(lab, size, loop=()):
    """(mount point, the loop device below)"""
    if not shutil.which("mkfs.ext4"):
        raise Skip("mkfs.ext4 is not installed")
    may_mount()
    image = sparse(lab.path("image"), size)
    with loop_on(image, *loop) as dev:
        lab.run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", dev)
        with mounted(lab, "ext4", "-t", "ext4", dev) as path:
            yield path, dev


@contextlib.contextmanager
def lun(lab, n, path, flags="", *args):
    lab.lun(1, n, path, None, *(["--bsoflags", flags] if flags else []), *args)
    try:
        yield
    finally:
        lab.op("logicalunit", "delete", "--tid", 1, "--lun", n)


# --- an initiator, and what it is told ---


def session(lab, n, *more, name="iqn.2026-11.test:store"):
    """An Initiator for LUN n; another one of the same name ends it."""
    i = attach(("127.0.0.1", lab.port), lab.iqn(1), *more, name=name, timeout=20 * SCALE)
    i.lun = n
    attentions(i)
    return i


def attentions(i):
    """Takes what is pending; each LUN has its own."""
    taken = []
    while len(taken) < 8:
        sense = command(i, bytes(6))[0]
        if not sense:
            return taken
        taken.append(sense)
    raise AssertionError(f"the unit does not become ready: {taken}")


def sense_of(rsp):
    """(key, ASC, ASCQ) of a CHECK CONDITION, None if GOOD."""
    if rsp.status == 0:
        return None
    need(rsp.status == 2, f"status {rsp.status}")
    key, code = rsp.sense()
    return key, code >> 8, code & 0xff


def command(i, cdb, read=0, data=b""):
    """(sense, data read)"""
    itt = i.command(bytes(cdb).ljust(6, b"\0"), read=read, write=len(data), data=data, lun=i.lun)
    rsp, got = i.finish(itt)
    return sense_of(rsp), got


def read(i, lba, blocks, bs=512):
    rsp, data = i.read_blocks(lba, blocks, lun=i.lun, bs=bs)
    return sense_of(rsp), data


def write(i, lba, data, bs=512):
    return sense_of(i.write_blocks(lba, data, lun=i.lun, bs=bs))


def write_cut(i, lba, data, cuts):
    """A write whose data comes in pieces of these lengths, the first of them with the command; the LUN has 512."""
    cuts = iter(cuts)
    first = min(next(cuts), len(data))
    itt = i.command(write10(lba, len(data) // 512), write=len(data), data=data[:first], lun=i.lun)
    while True:
        pdu = i.recv()
        if pdu.opcode != R2T:
            return sense_of(pdu)
        at, end, n = pdu.offset, pdu.offset + pdu.length, 0
        while at < end:
            piece = min(next(cuts), end - at)
            i.data_out(itt, pdu.ttt, n, at, data[at:at + piece], final=at + piece == end, lun=i.lun)
            at, n = at + piece, n + 1


def write_fua(i, lba, data):
    return command(i, struct.pack(">BBIBHB", 0x2A, 0x08, lba, 0, len(data) // 512, 0), data=data)[0]


def flush(i):
    return command(i, bytes([0x35]) + bytes(9))[0]


def unmap(i, lba, blocks):
    param = struct.pack(">HH4xQI4x", 22, 16, lba, blocks)
    return command(i, struct.pack(">B6xHx", 0x42, len(param)), data=param)[0]


def write_same(i, lba, blocks, byte=0, may_unmap=False, bs=512):
    cdb = struct.pack(">BBQI2x", 0x93, 8 if may_unmap else 0, lba, blocks)
    return command(i, cdb, data=bytes([byte]) * bs)[0]


def caching(i, pc=0):
    """(byte 2 of the caching mode page, the device-specific parameter)"""
    sense, data = command(i, [0x1a, 8, pc << 6 | 8, 0, 255, 0], 255)
    need(sense is None, f"MODE SENSE: {sense}")
    return data[4 + data[3] + 2], data[2]


def set_wce(i, wce):
    page = bytes(4) + bytes([8, 18, 4 if wce else 0]) + bytes(17)
    return command(i, [0x15, 0x10, 0, 0, len(page), 0], data=page)[0]


def capacity(i):
    """Bytes. Unit attentions, which come when they come, are taken."""
    sense = (6,)
    while sense and sense[0] == 6:
        sense, data = command(i, bytes([0x9e, 0x10]) + bytes(11) + b"\x20\0\0", 32)
    need(sense is None, f"READ CAPACITY: {sense}")
    last, bs = struct.unpack(">QI", data[:12])
    return (last + 1) * bs


# --- data that is known ---


class Shadow:
    """Writes here and there in every way, and what must be read afterwards. The LUN has blocks of 512 bytes."""

    def __init__(self, i, blocks, seed):
        self.i, self.blocks = i, blocks
        self.random = random.Random(seed)
        self.bytes = bytearray(self.random.randbytes(blocks * 512))
        for lba in range(0, blocks, 256):
            need(write(i, lba, self.bytes[lba * 512:(lba + 256) * 512]) is None, "the first writes")

    def keep(self, lba, data):
        self.bytes[lba * 512:lba * 512 + len(data)] = data

    def step(self, can_unmap):
        r, i = self.random, self.i
        n = r.choice((1, 1, 1, 2, 3, 5, 7, 8, 9, 16, 33, 64, 129))
        lba = r.randrange(self.blocks - n)
        how = r.randrange(20)
        if how < 12:
            data = r.randbytes(n * 512)
            cuts = (r.choice((4, 36, 508, 512, 516, 1000, 4096, 4100, 8000)) for _ in iter(int, 1))
            sense = write_cut(i, lba, data, cuts)
        elif how < 14:
            byte = r.randrange(2)
            data = bytes([byte]) * n * 512
            sense = write_same(i, lba, n, byte, can_unmap and byte == 0)
        elif how < 16 and can_unmap:
            data = bytes(n * 512)
            sense = unmap(i, lba, n)
        else:
            sense, data = read(i, lba, n)
            need(sense or data == self.bytes[lba * 512:(lba + n) * 512], f"what is read at {lba}+{n}")
        need(sense is None, f"step {how} at {lba}+{n}: {sense}")
        self.keep(lba, data)

    def check(self, path):
        """By the initiator, and from outside."""
        for lba in range(0, self.blocks, 256):
            sense, data = read(self.i, lba, min(256, self.blocks - lba))
            need(sense is None and data == self.bytes[lba * 512:lba * 512 + len(data)], f"read at {lba}: {sense}")
        need(flush(self.i) is None, "a flush")
        with open(path, "rb") as f:
            need(f.read(len(self.bytes)) == self.bytes, f"{path} holds something else")


def run_shadow(lab, path, flags="", steps=150, seed=1):
    """can_unmap: whether the LUN can give space back, as it says of itself"""
    with lun(lab, 2, path, flags, "--params", "thin_provisioning=1"), \
            session(lab, 2, "ImmediateData=Yes", "InitialR2T=Yes") as i:
        data = command(i, bytes([0x9e, 0x10]) + bytes(11) + b"\x20\0\0", 32)[1]
        shadow = Shadow(i, 4096, seed)
        for _ in range(steps):
            shadow.step(data[14] & 0x80)
        shadow.check(path)
        return bool(data[14] & 0x80)
