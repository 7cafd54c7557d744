#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=15000
"""
The Debian package in a minimal Debian of each release, or of those named as arguments: _deb_guest.py in a QEMU guest. The
package is built first (`make deb RELEASE=…`), unless LGT_DEB_DIR/RELEASE has one.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import threading

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path[:0] = [os.path.join(TOP, "tests/vm"), os.path.join(TOP, "tests/lib")]
import _guest  # noqa: E402
from lab import BUILD  # noqa: E402

RELEASES = ("bookworm", "trixie")
GUEST_SECS = 7200
# An emulated machine on a busy one: its services take longer to start than systemd expects.
PATIENCE = "systemd.default_timeout_start_sec=1800 systemd.default_device_timeout_sec=1800"
IMAGES = os.environ.get("LGT_IMAGE_DIR", os.path.join(BUILD, "image"))


def package(release):
    kept = os.environ.get("LGT_DEB_DIR")
    if not kept:
        subprocess.run(["make", "-C", TOP, "-s", "DEPS=0", f"B={BUILD}", "deb", f"RELEASE={release}"], check=True,
                       stdout=subprocess.DEVNULL)
        kept = os.path.join(BUILD, "deb")
    (deb,) = glob.glob(os.path.join(kept, release, "lichgate_*.deb"))
    return deb


def next_version(deb, work):
    """The same content by a higher number: what the package manager does with it is the same."""
    tree = os.path.join(work, "next")
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control, encoding="utf-8") as f:
        lines = f.read().splitlines()
    with open(control, "w", encoding="utf-8") as f:
        f.writelines(line + ("+1" if line.startswith("Version:") else "") + "\n" for line in lines)
    out = os.path.join(work, "next.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, out], check=True, stdout=subprocess.DEVNULL)
    return out


def payload(work, release):
    root = os.path.join(work, "payload")
    os.makedirs(root)
    deb = package(release)
    shutil.copy(deb, os.path.join(root, "lichgate.deb"))
    shutil.copy(next_version(deb, work), os.path.join(root, "lichgate+1.deb"))
    # tgt's own client, without its daemon.
    shutil.copy("/usr/sbin/tgtadm", root)
    for name in ("_deb_guest.py", "_deb_writer.py"):
        shutil.copy(os.path.join(TOP, "tests/image", name), root)
    shutil.copy(os.path.join(TOP, "tests/lib/tap.py"), root)
    with open(os.path.join(root, "init"), "w", encoding="ascii") as f:
        f.write("exec >/dev/ttyS1 2>&1\nexport PYTHONDONTWRITEBYTECODE=1 DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8\n"
                f"python3 /lgt/_deb_guest.py {release}\necho \"end of script, exit $?\"\n")
    disk = os.path.join(work, "payload.img")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk, "32M"], check=True, capture_output=True)
    return disk


def blank(work, name, size):
    path = os.path.join(work, name)
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def boot(release, work):
    """True if the guest's script ended well."""
    result, console = os.path.join(work, "result"), os.path.join(work, "console")
    argv = _guest.machine("1024", cpus=1) + [
        "-drive", f"file={_guest.root_of_image()},format=raw,if=virtio,snapshot=on",
        "-drive", f"file={payload(work, release)},format=raw,if=virtio,readonly=on",
        "-drive", f"file={blank(work, 'block', 64 << 20)},format=raw,if=virtio",
        "-drive", f"file={blank(work, 'nvme', 64 << 20)},format=raw,if=none,id=nv", "-device", "nvme,drive=nv,serial=nv",
        "-serial", "file:" + console, "-serial", "file:" + result,
        "-append", "console=ttyS0 root=/dev/vda rw panic=-1 quiet no_timer_check " + PATIENCE]
    stop = threading.Event()
    teller = threading.Thread(target=_guest.relay, args=(result, stop, None))
    teller.start()
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=GUEST_SECS, check=False)
    except subprocess.TimeoutExpired:
        print("the guest did not end in time")
    stop.set()
    teller.join()
    with open(result, encoding="utf-8", errors="replace") as f:
        good = f.read().rpartition("end of script, exit ")[2].strip() == "0"
    if not good:
        with open(console, encoding="utf-8", errors="replace") as f:
            print("".join("[console] " + line for line in f.read().splitlines(True)[-40:]))
    return good


def check(release):
    images = os.path.join(IMAGES, "guest-" + release)
    subprocess.run([os.path.join(TOP, "tests/image/_deb_image.sh"), images, release], check=True)
    # The machine of tests/vm around another image.
    _guest.IMAGES = images
    _guest.image = lambda: images
    with tempfile.TemporaryDirectory(prefix="lgt-deb.") as work:
        return boot(release, work)


sys.exit(not all([check(release) for release in sys.argv[1:] or RELEASES]))
