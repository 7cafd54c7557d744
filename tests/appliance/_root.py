# SPDX-License-Identifier: BSD-3-Clause
"""A directory that looks to the appliance's command like an appliance: files are its partitions, and it runs from slot a."""
import contextlib
import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path[:0] = [os.path.join(TOP, "tests/lib"), os.path.join(TOP, "appliance-image")]

# Many syncs: memory where there is some.
SHM = "/dev/shm"
PART_SIZE = 128 << 10
LABELS = ("bios", "lichgate-boot", "lichgate-a", "lichgate-b", "lichgate-state")
NAMES = ("vmlinuz", "initrd", "root.img")

work = tempfile.TemporaryDirectory(prefix="lgt-appliance.", dir=SHM if os.access(SHM, os.W_OK) else None)
ROOT = work.name
os.environ["LICHGATE_ROOT"] = ROOT
sys.dont_write_bytecode = True


def path(name):
    return os.path.join(ROOT, name.lstrip("/"))


def put(name, content):
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    with open(path(name), "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())


def script(name, text):
    """A program."""
    put(name, "#!/bin/sh\n" + text)
    os.chmod(path(name), 0o755)


def get(name):
    with open(path(name), "rb") as f:
        return f.read()


def empty():
    """As at the start."""
    shutil.rmtree(ROOT)
    os.mkdir(ROOT)


def key(name):
    """A private key; returns its file."""
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path(name)], check=True, capture_output=True)
    return path(name)


@functools.lru_cache(None)
def sign(manifest, by):
    put("tmp/manifest", manifest)
    subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", by, "-in", path("tmp/manifest"),
                    "-out", path("tmp/signature")], check=True, capture_output=True)
    return get("tmp/signature")


def parts(version):
    """The three files of a version."""
    return {name: (f"{name} of {version} ".encode() * 4000)[:40000 + len(name)] for name in NAMES}


def manifest(version, files, /, **changes):
    said = {"format": 1, "version": version, "roothash": "ab" * 32, "hash_offset": 8192, "cmdline": "quiet panic=10",
            "files": {n: {"size": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files.items()}}
    return json.dumps({**said, **changes}).encode()


def pack(members):
    """A tar as the image's builder makes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def update_of(version, by, files=None, /, **changes):
    files = files or parts(version)
    text = manifest(version, files, **changes)
    return pack([("manifest.json", text), ("manifest.sig", sign(text, by)), *files.items()])


def grubenv(**pairs):
    text = "# GRUB Environment Block\n" + "".join(f"{k}={v}\n" for k, v in pairs.items())
    put("boot/grub/grubenv", text.ljust(1024, "#"))


def disk(name, number, labels, size=PART_SIZE):
    """A disk in /sys and /dev."""
    top = f"sys/devices/{name}"
    put(f"{top}/uevent", f"DEVNAME={name}\nDEVTYPE=disk\n")
    put(f"{top}/size", str(size * (len(labels) + 1) // 512))
    os.makedirs(path("sys/dev/block"), exist_ok=True)
    os.makedirs(path("sys/class/block"), exist_ok=True)
    os.symlink(f"../../devices/{name}", path(f"sys/class/block/{name}"))
    for n, label in enumerate(labels, 1):
        part = f"{top}/{name}{n}"
        put(f"{part}/uevent", f"DEVNAME={name}{n}\nDEVTYPE=partition\nPARTNAME={label}\n")
        put(f"{part}/size", str(size // 512))
        put(f"{part}/partition", str(n))
        os.symlink(f"../../devices/{name}/{name}{n}", path(f"sys/dev/block/{number}:{n}"))
        put(f"dev/{name}{n}", b"\0" * size)


def appliance(by):
    """It runs version 1 from slot a; slot b holds version 0."""
    put("proc/cmdline", "quiet lichgate.slot=a")
    # A data disk that carries the partitions of another appliance comes first.
    disk("sda", 8, LABELS)
    disk("vda", 254, LABELS)
    put("proc/self/mountinfo", "25 1 254:2 / /boot rw,sync - vfat /dev/vda2 rw\n")
    os.makedirs(path("run"))
    subprocess.run(["openssl", "pkey", "-in", by, "-pubout", "-out", path("update.pub")], check=True)
    put("usr/lib/lichgate/update.pub", get("update.pub"))
    grubenv(good="a", more="kept")
    for slot, version in (("a", "1"), ("b", "0")):
        hold(slot, version, by)


def hold(slot, version, by):
    from appliance import slots
    files = parts(version)
    text = manifest(version, files)
    for name, data in (("vmlinuz", files["vmlinuz"]), ("initrd", files["initrd"]), ("manifest.json", text),
                       ("manifest.sig", sign(text, by)),
                       ("boot.cfg", slots.boot_cfg(json.loads(text), slot).encode())):
        put(f"boot/{slot}/{name}", data)
    part = "vda3" if slot == "a" else "vda4"
    put(f"dev/{part}", files["root.img"].ljust(PART_SIZE, b"\0"))


def everything():
    """Name → sum of all files: what a refused command must leave as it is."""
    found = {}
    for folder, _, names in os.walk(ROOT):
        for name in names:
            if not name.endswith(".lock") and "/tmp" not in folder and not os.path.islink(os.path.join(folder, name)):
                with open(os.path.join(folder, name), "rb") as f:
                    found[os.path.join(folder, name)[len(ROOT):]] = hashlib.sha256(f.read()).hexdigest()
    return found


class Piped(io.BytesIO):
    def seekable(self):
        return False


def command(*words, stdin=b""):
    """Exit code, output and errors of the command; in this process, for there are many of them."""
    from appliance import __main__ as main
    kept = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["lichgate-appliance", *words], io.TextIOWrapper(Piped(stdin))
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.main()
    finally:
        sys.argv, sys.stdin = kept
    return code, out.getvalue(), err.getvalue()
