# SPDX-License-Identifier: BSD-3-Clause
"""
An update file, read strictly: a ustar with five files in a fixed order. The first two are a manifest and its signature;
nothing behind them is looked at before the signature is found good.
"""
import hashlib
import json
import os
import subprocess
import tempfile

from . import Refused, paths, slots

BLOCK = 512
PIECE = 1 << 20
MANIFEST_MOST = 64 << 10
SIGNATURE = 64
# Name and the most bytes of each file that the manifest speaks of, in the order of the tar.
FILES = {"vmlinuz": 64 << 20, "initrd": 160 << 20, "root.img": 16 << 30}
HASH_BLOCK = 4096


def take(stream, size):
    """So many bytes, however they come."""
    got = b""
    while len(got) < size:
        more = stream.read(size - len(got))
        if not more:
            raise Refused("the file is cut short")
        got += more
    return got


def member(stream, name, most):
    """The size of the next file of the tar, which is to be that one."""
    head = take(stream, BLOCK)
    try:
        called = head[:100].rstrip(b"\0").decode("ascii")
        size = int(head[124:136].rstrip(b" \0"), 8)
        total = int(head[148:156].strip(b" \0"), 8)
    except ValueError:
        raise Refused("this is no update file") from None
    if head[257:265] != b"ustar\00000" or total != sum(head[:148] + b" " * 8 + head[156:]) or head[345:500].strip(b"\0"):
        raise Refused("this is no update file")
    if called != name or head[156:157] != b"0":
        raise Refused(f"this is no update file: it has '{called[:40]}' where '{name}' belongs"
                      if called.isprintable() else "this is no update file")
    if not 0 < size <= most:
        raise Refused(f"{name} in the update file has an impossible size")
    return size


def content(stream, size):
    """The bytes of a file in pieces, and what fills up its last block."""
    left = size
    while left:
        piece = take(stream, min(left, PIECE))
        left -= len(piece)
        yield piece
    take(stream, -size % BLOCK)


def whole(stream, name, most):
    return b"".join(content(stream, member(stream, name, most)))


def checked(manifest, signature):
    """The manifest as a dictionary, if the signature is ours and everything in it is what it should be."""
    with tempfile.TemporaryDirectory() as work:
        for name, data in (("manifest", manifest), ("signature", signature)):
            with open(os.path.join(work, name), "wb") as f:
                f.write(data)
        good = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", paths.UPDATE_KEY, "-rawin",
             "-in", os.path.join(work, "manifest"), "-sigfile", os.path.join(work, "signature")],
            stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if good.returncode:
        raise Refused("the signature is not of the key that this appliance trusts")
    try:
        said = json.loads(manifest)
        if said["format"] != 1:
            raise Refused("the update needs a newer version in between: this one does not know its format")
        files = said["files"]
        right = (list(sorted(files)) == sorted(FILES) and
                 all(type(files[n]["size"]) is int and 0 < files[n]["size"] <= most and
                     slots.HASH.fullmatch(files[n]["sha256"]) for n, most in FILES.items()) and
                 slots.VERSION.fullmatch(said["version"]) and slots.CMDLINE.fullmatch(said["cmdline"]) and
                 slots.HASH.fullmatch(said["roothash"]) and type(said["hash_offset"]) is int and
                 0 < said["hash_offset"] < files["root.img"]["size"] and said["hash_offset"] % HASH_BLOCK == 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        right = False
    if not right:
        raise Refused("the manifest of the update is not in order")
    return said


def head(stream):
    """Manifest and signature, unchecked."""
    return whole(stream, "manifest.json", MANIFEST_MOST), whole(stream, "manifest.sig", SIGNATURE)


def opened(stream):
    """Manifest and signature as bytes, and what the manifest says."""
    manifest, signature = head(stream)
    return manifest, signature, checked(manifest, signature)


def files(stream, said, sinks):
    """
    Reads the files behind the manifest. sinks: name → a function that is given the pieces of that file. The hash is
    compared when a file has gone to its sink: what came of it counts for nothing if this refuses.
    """
    for name, most in FILES.items():
        size = member(stream, name, most)
        if size != said["files"][name]["size"]:
            raise Refused(f"{name} in the update file is not the one that was signed")
        total = hashlib.sha256()

        def hashed(size=size, total=total):
            for piece in content(stream, size):
                total.update(piece)
                yield piece

        sinks[name](hashed())
        if total.hexdigest() != said["files"][name]["sha256"]:
            raise Refused(f"{name} in the update file is not the one that was signed")
