# SPDX-License-Identifier: BSD-3-Clause
"""
An appliance whose data disks have a write cache that a power cut empties: after cut() a disk holds what was flushed, and
nothing that was written after its last flush. (A QEMU that is killed leaves all of it in its host's page cache.) For virtio
disks: QEMU's log does not know every FUA write of an NVMe disk as one.
"""
import os
import struct

from _appliance import Appliance, tool

SECTOR = 512
FLUSH, FUA, DISCARD = 1, 2, 4


class Forgetful(Appliance):
    def forgetful(self):
        """Its own data disks, and none that is somebody's file."""
        return [path for _, path in self.disks if os.path.dirname(path) == self.dir]

    def drive(self, n, path):
        if path not in self.forgetful():
            return super().drive(n, path)
        # QEMU keeps a log of writes and flushes beside the disk.
        return (f"if=none,id=d{n},driver=blklogwrites,file.driver=file,file.filename={path},"
                f"log.driver=file,log.filename={path}.log,cache=writeback")

    def start(self):
        for path in self.forgetful():
            tool("cp", "--sparse=always", path, path + ".flushed")
            with open(path + ".log", "wb"):
                pass
        super().start()

    def cut(self):
        alive = self.running()
        super().cut()
        for path in self.forgetful() if alive else []:
            forget(path)


def forget(path):
    """The disk becomes what it was at its start, and what was written until its last flush."""
    with open(path + ".log", "rb") as log, open(path + ".flushed", "r+b") as disk:
        written = list(entries(log))
        last = max((i for i, (_, _, flags, _) in enumerate(written) if flags & FLUSH), default=-1)
        kept = [e for i, e in enumerate(written) if i < last or e[2] & FUA]
        for entry in kept:
            replay(log, disk, entry, entry[1])
    os.replace(path + ".flushed", path)
    print(f"{os.path.basename(path)}: {len(written) - last - 1} writes after the last of "
          f"{sum(bool(e[2] & FLUSH) for e in written)} flushes are lost", flush=True)


def replay(log, disk, entry, length):
    """Does the first length bytes of an entry to the disk."""
    sector, _, flags, at = entry
    log.seek(at)
    disk.seek(sector * SECTOR)
    disk.write(bytes(length) if flags & DISCARD else log.read(length))


def entries(log):
    """(sector, length in bytes, flags, where its data is), in the format of Linux' dm-log-writes."""
    at, end = SECTOR, os.fstat(log.fileno()).st_size
    while at < end:
        log.seek(at)
        sector, count, flags, _ = struct.unpack("<QQQQ", log.read(32))
        at += SECTOR
        yield sector, count * SECTOR, flags, at
        at += 0 if flags & DISCARD else count * SECTOR
