#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=600
"""The image's root file system, unpacked and looked at: it needs no machine, and no root."""
import _imp
import os
import re
import sys
import tarfile
import tempfile

from _appliance import output, tool
from tap import case, need, run


def unpacked(work):
    with tarfile.open(output("update")) as tar:
        tar.extract("root.img", work)
    root = os.path.join(work, "root")
    tool("unsquashfs", "-q", "-n", "-no-xattrs", "-d", root, os.path.join(work, "root.img"), "etc", "usr")
    return root


def read(*parts):
    with open(os.path.join(*parts), "rb") as f:
        return f.read()


def stale(path):
    """Whether Python would compile that file's source again: at each start, for it can keep nothing in a read-only root."""
    folder, name = os.path.split(path)
    source = os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")
    if os.path.basename(folder) != "__pycache__" or not os.path.exists(source):
        return False
    code = read(path)
    magic, flags = (int.from_bytes(code[at:at + 4], "little") for at in (0, 4))
    if flags & 1:
        return code[8:16] != _imp.source_hash(magic, read(source))
    return int.from_bytes(code[8:12], "little") != int(os.stat(source).st_mtime)


@case("what is each machine's own is not in the image")
def _(root):
    need(read(root, "etc/machine-id") == b"", "a machine's identity")
    keys = [n for n in os.listdir(os.path.join(root, "etc/ssh")) if n.startswith("ssh_host_")]
    need(not keys, keys)
    need(not read(root, "etc/shadow-") if os.path.exists(os.path.join(root, "etc/shadow-")) else True, "former passwords")


@case("the root directory is root's")
def _(root):
    first = tool("unsquashfs", "-lln", root + ".img", "/etc/fstab").decode().splitlines()[0]
    need(re.fullmatch(r"drwxr-xr-x 0/0 .*", first), first)


@case("nobody has a password")
def _(root):
    open_ones = [u for u, word in (line.split(":")[:2] for line in read(root, "etc/shadow").decode().splitlines())
                 if word not in ("*", "!", "!*")]
    need(not open_ones, open_ones)


@case("compiled Python is what its source says")
def _(root):
    found = [os.path.join(d, n) for d, _, names in os.walk(root) for n in names if n.endswith(".pyc")]
    need(len(found) > 100, f"only {len(found)} files")
    bad = [f for f in found if stale(f)]
    need(not bad, f"{len(bad)} of {len(found)}: {bad[:3]}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lgt-contents.", dir=os.environ.get("LGT_IMAGE_TMP")) as top:
        failed = run(unpacked(top))
    sys.exit(1 if failed else 0)
