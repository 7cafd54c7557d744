# SPDX-License-Identifier: BSD-3-Clause
"""
The disk that the system was booted from, what tells one disk from another, and how block devices and files are written
so that a power cut does no harm.

Its partitions are looked for on the disk of what is mounted at /boot and nowhere else: data disks may carry partitions
of any name, those of another appliance too.
"""
import errno
import hashlib
import mmap
import os

from . import Refused, paths

PIECE = 1 << 20
# So much is written before the disk has to have it: users' I/O must not wait for a gigabyte.
UNWRITTEN = 16 * PIECE


def boot_disk():
    """The directory in /sys of the disk that has the boot partition."""
    number = None
    with open(paths.MOUNTS, encoding="utf-8", errors="replace") as f:
        for line in f:
            fields = line.split()
            if fields[4] == "/boot" and fields[fields.index("-") + 1] != "autofs":
                number = fields[2]
    if number is None:
        raise Refused("the boot partition is not mounted")
    part = os.path.realpath(os.path.join(paths.SYS, "dev/block", number))
    if not os.path.exists(os.path.join(part, "partition")):
        raise Refused("/boot is no partition of a disk")
    return os.path.dirname(part)


def read(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return default


def uevent(sys_dir):
    return dict(line.split("=", 1) for line in read(os.path.join(sys_dir, "uevent")).splitlines() if "=" in line)


def size_of(sys_dir):
    return int(read(os.path.join(sys_dir, "size"), "0")) * 512


def serial(sys_dir):
    """A disk's serial number, or ''."""
    page = os.path.join(sys_dir, "device/vpd_pg80")
    if os.path.exists(page):
        with open(page, "rb") as f:
            return f.read()[4:].decode("ascii", "replace").strip(" \0")
    return read(os.path.join(sys_dir, "serial")) or read(os.path.join(sys_dir, "device/serial"))


def identity(sys_dir):
    """What two paths to one disk have in common; namespaces of one NVMe device share its serial number but not this."""
    return read(os.path.join(sys_dir, "wwid")) or read(os.path.join(sys_dir, "device/wwid")) or serial(sys_dir)


def partitions(disk):
    """Directories in /sys of a disk's partitions, by their labels."""
    found = {}
    for entry in sorted(os.listdir(disk)):
        sys_dir = os.path.join(disk, entry)
        if os.path.exists(os.path.join(sys_dir, "partition")):
            found.setdefault(uevent(sys_dir).get("PARTNAME", ""), sys_dir)
    return found


def own_partition(label):
    """Device and size of a partition of the disk that this system runs from."""
    sys_dir = partitions(boot_disk()).get(label)
    if sys_dir is None:
        raise Refused(f"the disk of this system has no partition {label}")
    return device(sys_dir), size_of(sys_dir)


def device(sys_dir):
    return os.path.join(paths.DEV, uevent(sys_dir)["DEVNAME"])


def on(path, call, *args):
    """A call whose error says which file it is about, as an error of opening one does."""
    try:
        return call(*args)
    except OSError as e:
        raise OSError(e.errno, e.strerror, path) from e


def write(path, pieces, at=0):
    """Writes pieces to a file, or a device that nobody else uses, and returns when the disk has them."""
    # O_EXCL: a device that is mounted, or below a device that is, says EBUSY.
    fd = os.open(path, os.O_WRONLY | os.O_EXCL)
    try:
        pending = 0
        for piece in pieces:
            view = memoryview(piece)
            while view:
                n = on(path, os.pwrite, fd, view, at)
                view, at, pending = view[n:], at + n, pending + n
            if pending >= UNWRITTEN:
                on(path, os.fdatasync, fd)
                pending = 0
        on(path, os.fsync, fd)
    finally:
        os.close(fd)


def pieces(path, size, at=0):
    """What the disk has from AT on, in pieces: read past the page cache where that goes."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        fd = os.open(path, os.O_RDONLY)
    try:
        # O_DIRECT wants memory at a page's start, and lengths of whole blocks.
        with mmap.mmap(-1, PIECE) as room:
            while size > 0:
                n = on(path, os.preadv, fd, [room], at)
                if n == 0:
                    return
                n = min(n, size)
                yield room[:n]
                at, size = at + n, size - n
    finally:
        os.close(fd)


def sha256(path, size):
    """Of the first SIZE bytes that the disk has; a shorter file gives another sum."""
    total = hashlib.sha256()
    for piece in pieces(path, size):
        total.update(piece)
    return total.hexdigest()


def sync_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        on(path, os.fsync, fd)
    finally:
        os.close(fd)


def put(path, content):
    """Puts a file in the place of another: at every moment the name has the old one or the new one, whole."""
    new = path + ".new"
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))
    write(new, content)
    os.replace(new, path)
    sync_directory(os.path.dirname(path))
