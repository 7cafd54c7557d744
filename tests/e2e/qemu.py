#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's own initiator: an image goes to a LUN and comes back the same, with and without CHAP."""
# runner: timeout=120
import hashlib
import os
import random

import _path  # noqa: F401
from lab import Lab, require_built
from tap import case, need, run

SIZE = 48 << 20


def image(lab):
    """Not a multiple of any buffer, with holes, the same on every run."""
    path = lab.path("source.img")
    if not os.path.exists(path):
        rnd = random.Random(1)
        with open(path, "wb") as f:
            f.truncate(SIZE)
            for _ in range(200):
                f.seek(rnd.randrange(SIZE // 512 - 300) * 512)
                f.write(rnd.randbytes(rnd.randrange(1, 300) * 512))
    return path


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(f.read()).hexdigest()


def round_trip(lab, url):
    src, back = image(lab), lab.path("back.img")
    lab.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", src, url)
    lab.run("qemu-img", "convert", "-f", "raw", "-O", "raw", url, back)
    need(digest(src) == digest(back), "the image read back differs")
    lab.run("qemu-img", "compare", "-f", "raw", "-F", "raw", src, url)


@case("qemu-img: an image written to a LUN reads back the same")
def _(lab):
    round_trip(lab, lab.url(1, 1))
    need(digest(lab.path("disk")) == digest(image(lab)), "the backing file differs from the image")


@case("qemu-io: writes, flush, discard and zeroes at odd places")
def _(lab):
    out = lab.run("qemu-io", "-f", "raw", "-c", "write -P 0x5a 512 1536", "-c", "flush",
                  "-c", "read -P 0x5a 512 1536", "-c", "write -z 1048576 65536", "-c", "read -P 0 1048576 65536",
                  "-c", "write -P 0xa5 -f 4194304 1048576", "-c", "read -P 0xa5 4194304 1048576",
                  "-c", "discard 8M 1M", lab.url(1, 1)).stdout
    need("failed" not in out.lower(), out)


@case("one-way CHAP: the right password gets in, a wrong one and none do not")
def _(lab):
    lab.target(2)
    lab.lun(2, 1, lab.file("chap", SIZE))
    lab.account("alice", "correct-horse-1", 2)
    round_trip(lab, lab.url(2, 1, "alice%correct-horse-1"))
    for user in ("alice%wrong-horse-123", "bob%correct-horse-1", ""):
        p = lab.run("qemu-img", "info", lab.url(2, 1, user), check=False)
        need(p.returncode, f"'{user}' was admitted")


@case("mutual CHAP: the initiator checks the target's password")
def _(lab):
    lab.target(3)
    lab.lun(3, 1, lab.file("mutual", SIZE))
    lab.account("carol", "initiator-pw-12", 3)
    lab.account("target3", "target-pass-123", 3, outgoing=True)
    right = "?target_user=target3&target_password=target-pass-123"
    wrong = "?target_user=target3&target_password=not-the-password"
    round_trip(lab, lab.url(3, 1, "carol%initiator-pw-12") + right)
    need(lab.run("iscsi-inq", lab.url(3, 1, "carol%initiator-pw-12") + wrong, check=False).returncode,
         "the initiator accepted a wrong answer")


require_built()
with Lab() as lab_:
    lab_.target(1)
    lab_.lun(1, 1, lab_.file("disk", SIZE))
    failed = run(lab_)
raise SystemExit(failed)
