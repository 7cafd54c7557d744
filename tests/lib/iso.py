# SPDX-License-Identifier: BSD-3-Clause
"""A small ISO 9660 image, made by hand: files in its root, nothing else."""
import struct

BLOCK = 2048
FIRST = 16  # of the volume descriptors
ROOT = 20


def both(fmt, n):
    """The number in either byte order (ECMA-119 7.2.3, 7.3.3)."""
    return struct.pack("<" + fmt, n) + struct.pack(">" + fmt, n)


def blocks(n):
    return -(-n // BLOCK)


def record(name, at, size, directory=False):
    """A directory record (ECMA-119 9.1)."""
    body = both("I", at) + both("I", size) + bytes((126, 11, 22, 0, 0, 0, 0)) + bytes((2 if directory else 0, 0, 0))
    body += both("H", 1) + bytes((len(name),)) + name
    body += bytes((len(body) + 2) % 2)
    return bytes((len(body) + 2, 0)) + body


def root_of(files):
    at, out = ROOT + 1, record(b"\0", ROOT, BLOCK, True) + record(b"\1", ROOT, BLOCK, True)
    for name in sorted(files):
        out += record(name.encode("ascii") + b";1", at, len(files[name]))
        at += blocks(len(files[name]))
    assert len(out) <= BLOCK, "too many files"
    return out, at


def volume(label, end):
    """The primary volume descriptor (ECMA-119 8.4)."""
    out = b"\1CD001\1\0" + b" " * 32 + label.encode("ascii").ljust(32) + bytes(8) + both("I", end) + bytes(32)
    out += both("H", 1) + both("H", 1) + both("H", BLOCK) + both("I", 10)
    out += struct.pack("<II", 18, 0) + struct.pack(">II", 19, 0) + record(b"\0", ROOT, BLOCK, True)
    out += b" " * (4 * 128 + 3 * 37) + 4 * (b"0" * 16 + b"\0") + b"\1\0"
    return out


def image(files, label="LICHGATE"):
    """files: upper-case 8.3 names and their bytes."""
    root, end = root_of(files)
    parts = [bytes(FIRST * BLOCK), volume(label, end), b"\xffCD001\1",
             struct.pack("<BBIHBx", 1, 0, ROOT, 1, 0), struct.pack(">BBIHBx", 1, 0, ROOT, 1, 0), root]
    parts += [files[name] for name in sorted(files)]
    return b"".join(p + bytes(-len(p) % BLOCK) for p in parts)
