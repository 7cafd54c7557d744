#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""install on files that look like disks: what is refused, what is written, and what is noticed afterwards."""
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import _root
from _root import command, get, path, put
from tap import case, need, run

from appliance import Refused, console, disks, install, update

os.environ["PATH"] += ":/usr/sbin:/sbin"
MIB = 1 << 20
SIZES = dict(zip(_root.LABELS, (1, 4, 2, 2, 8)))
TARGET_MIB = 40
mounts = []


def fake_tool(*argv, text=None, real=install.tool):
    if argv[0] == "mount":
        mounts.append(argv[2])
        return ""
    return real(*argv, text=text)


install.tool = fake_tool
install.STATE_LEAST = 16 * MIB
targets = []
install.tools.shown = lambda mode: {"targets": targets}


def hardware(name, model, size, number):
    top = f"sys/devices/{name}"
    put(f"{top}/device/model", model)
    put(f"{top}/uevent", f"DEVNAME={name}\n")
    put(f"{top}/size", str(size // 512))
    put(f"{top}/dev", f"{number}:0")
    link = path(f"sys/class/block/{name}")
    if not os.path.islink(link):
        os.symlink(f"../../devices/{name}", link)
    put(f"dev/{name}", b"")
    os.truncate(path(f"dev/{name}"), size)


def own_disk():
    """vda with a real table; its partitions are files of their own, as in /dev."""
    at, lines = 1, ["label: gpt"]
    hardware("vda", "Own", sum(SIZES.values()) * MIB + 2 * MIB, 254)
    for n, (label, size) in enumerate(SIZES.items(), 1):
        lines.append(f'start={at * 2048}, size={size * 2048}, name="{label}"')
        put(f"sys/devices/vda/vda{n}/start", str(at * 2048))
        put(f"sys/devices/vda/vda{n}/size", str(size * 2048))
        os.truncate(path(f"dev/vda{n}"), size * MIB)
        at += size
    subprocess.run(["sfdisk", "-q", path("dev/vda")], input="\n".join(lines), text=True, check=True)
    with open(path("dev/vda"), "r+b") as f:
        f.write(b"boot".ljust(440, b"!"))
    put("dev/vda1", os.urandom(MIB))
    put("dev/vda2", os.urandom(4 * MIB))


def target(fill=b""):
    hardware("vdb", "Blank", TARGET_MIB * MIB, 253)
    with open(path("dev/vdb"), "r+b") as f:
        f.seek(5 * MIB)
        f.write(fill)


def parts_of(disk):
    said = json.loads(subprocess.run(["sfdisk", "-J", path(f"dev/{disk}")], check=True, capture_output=True).stdout)
    return said["partitiontable"]["id"], {p["name"]: p for p in said["partitiontable"]["partitions"]}


def typed(text, menu):
    """What a menu says to somebody who types that."""
    here, there = os.pipe()
    os.write(there, text.encode())
    os.close(there)
    stdin, sys.stdin = sys.stdin, os.fdopen(here)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            menu(console.Terminal())
    finally:
        sys.stdin.close()
        sys.stdin = stdin
    return said.getvalue()


def refused(words, why, device="dev/vdb"):
    before = get(device)
    code, out, err = command("install", *words)
    need(code == 1 and why in err and err.count("\n") == 1, f"exit {code}: {err}{out}")
    need(get(device) == before, "the disk was written to")


@case("install lists the disks, and says which it would refuse")
def _():
    target()
    code, out, _err = command("install")
    need(code == 0 and out == "vda  0.0 GB  Own  (the system runs from it)\nvdb  0.0 GB  Blank\n", out)


@case("a disk in use, too small, with data on it, or the system's own is refused")
def _():
    refused(["vda"], "the system runs from it", "dev/vda")
    refused(["vda", "--erase"], "the system runs from it", "dev/vda")
    refused(["vdz"], "there is no disk vdz")
    target(b"x")
    refused(["/dev/vdb"], "vdb: it carries data; --erase erases it")
    target()
    with open(path("dev/vdb"), "r+b") as f:
        f.seek(TARGET_MIB * MIB - 100)
        f.write(b"x")
    refused(["vdb"], "it carries data")
    target()
    kept = get("proc/self/mountinfo")
    put("proc/self/mountinfo", kept + b"30 1 253:0 / /mnt rw - ext4 /dev/vdb rw\n")
    refused(["vdb", "--erase"], "it is mounted")
    put("proc/self/mountinfo", kept)
    os.makedirs(path("sys/devices/vdb/holders/dm-0"))
    refused(["vdb", "--erase"], "it is in use")
    os.rmdir(path("sys/devices/vdb/holders/dm-0"))
    put("sys/devices/vdb/ro", "1")
    refused(["vdb", "--erase"], "it is read-only")
    put("sys/devices/vdb/ro", "0")
    hardware("vdb", "Small", 20 * MIB, 253)
    refused(["vdb"], "it is too small")
    target()
    # A disk that fails as it is read: in the list, and no reason to refuse another one.
    os.unlink(path("dev/vdb"))
    os.mkdir(path("dev/vdb"))
    code, out, err = command("install")
    need(code == 0 and "vdb  0.0 GB  Blank  (it cannot be read: Is a directory)\n" in out, out + err)
    need("it cannot be read" in command("install", "vdb", "--erase")[2])
    os.rmdir(path("dev/vdb"))
    target()
    _root.grubenv(good="b")
    refused(["vdb"], "wait for its self-test")
    _root.grubenv(good="a")


@case("a second path to the system's own disk, or to a LUN, is not erased")
def _():
    put("sys/devices/vda/device/wwid", "naa.5000\n")
    put("sys/devices/vdb/device/wwid", "naa.5000\n")
    target(b"x")
    refused(["vdb", "--erase"], "vdb: it may be another path to the disk that the system runs from")
    # With nothing on it it is not that disk, whatever a maker of sticks wrote into all of them.
    target()
    need(command("install")[1].endswith("vdb  0.0 GB  Blank\n"))
    put("sys/devices/vda/device/wwid", "")
    hardware("vdc", "Twin", TARGET_MIB * MIB, 252)
    put("sys/devices/vdc/device/wwid", "naa.5000\n")
    targets[:] = [{"iqn": "iqn.a:b", "luns": [{"lun": 3, "path": "/dev/vdc"}]}]
    for fill in (b"", b"x"):
        target(fill)
        refused(["vdb", "--erase"], "vdb: it may be another path to LUN 3 of iqn.a:b")
    targets.clear()
    put("sys/devices/vdb/device/wwid", "")
    os.unlink(path("sys/class/block/vdc"))
    shutil.rmtree(path("sys/devices/vdc"))


@case("an installation without questions names its disk, and waits for the start of this boot to be told to GRUB")
def _():
    target()
    for words in ("lichgate.slot=a lichgate.install", "lichgate.slot=a lichgate.install=", "lichgate.slot=a"):
        put("proc/cmdline", words)
        refused(["--command-line"], "lichgate.install= names no disk")
    put("proc/cmdline", "lichgate.slot=a lichgate.install=vdb")
    with update.locked():
        refused(["vdb"], "is at work")
        waiting = threading.Thread(target=command, args=["install", "--command-line"])
        kept, signal.signal = signal.signal, lambda *_: None
        waiting.start()
        waiting.join(1)
        need(waiting.is_alive() and get("dev/vdb")[:MIB] == bytes(MIB))
    waiting.join()
    signal.signal = kept
    need(list(parts_of("vdb")[1]) == list(_root.LABELS), "nothing was installed")


@case("a disk that is a LUN is refused, by whatever name; with data on it, also if nobody can tell")
def _():
    os.makedirs(path("dev/disk/by-id"), exist_ok=True)
    os.symlink("../../vdb", path("dev/disk/by-id/its-name"))
    put("sys/devices/vdb/vdb1/partition", "1")
    os.symlink("../../devices/vdb/vdb1", path("sys/class/block/vdb1"))
    os.makedirs(path("sys/class/scsi_generic/sg7/device/block/vdb"))
    for fill in (b"", b"x"):
        target(fill)
        for name in ("/dev/vdb", "/dev/disk/by-id/its-name", "/dev/vdb1", "/dev/sg7"):
            targets[:] = [{"iqn": "iqn.a:b", "luns": [{"lun": 0, "path": None}, {"lun": 3, "path": name}]}]
            refused(["vdb", "--erase"], "vdb: it is LUN 3 of iqn.a:b")
    targets.clear()
    shutil.rmtree(path("sys/devices/vdb/vdb1"))
    os.unlink(path("sys/class/block/vdb1"))

    def silent(mode):
        raise Refused(mode)

    kept, install.tools.shown = install.tools.shown, silent
    refused(["vdb", "--erase"], "does not say whether it is a LUN")
    install.tools.shown = kept


@case("the system is copied, with a table of its own up to the end of the disk, and read back")
def _():
    for fill, words in ((b"", []), (b"data of somebody" * MIB, ["--erase"])):
        target(fill)
        mounts.clear()
        put("proc/cmdline", "lichgate.slot=a lichgate.install=vdb")
        code, out, err = command("install", *(["--command-line"] if words else ["vdb"]), *words)
        need(code == 0 and out.count("Read back: ") == 5 and "Installed and verified" in out, out + err)
        need(mounts == ["remount,ro", "remount,rw"], str(mounts))
        (old_id, old), (new_id, new) = parts_of("vda"), parts_of("vdb")
        need(list(new) == list(_root.LABELS) and old_id != new_id)
        need(all(old[n]["start"] == new[n]["start"] and old[n]["type"] == new[n]["type"] and
                 old[n]["uuid"] != new[n]["uuid"] for n in new), f"{old}\n{new}")
        need(all(old[n]["size"] == new[n]["size"] for n in _root.LABELS[:4]))
        state = new["lichgate-state"]
        need((state["start"] + state["size"]) * 512 > TARGET_MIB * MIB - 2 * MIB, "the state does not reach the end")
        whole = get("dev/vdb")
        need(whole[:440] == b"boot".ljust(440, b"!"))
        for n, label in ((1, "bios"), (2, "lichgate-boot")):
            at = new[label]["start"] * 512
            need(whole[at:at + SIZES[label] * MIB] == get(f"dev/vda{n}"), label)
        for slot, version in (("a", "1"), ("b", "0")):
            at = new["lichgate-" + slot]["start"] * 512
            root = _root.parts(version)["root.img"]
            need(whole[at:at + len(root)] == root, "slot " + slot)
        at = state["start"] * 512
        need(whole[at + 1080:at + 1082] == b"\x53\xef", "the state has no ext4")
        size = int.from_bytes(whole[at + 1028:at + 1032], "little") * 4096
        need(size <= state["size"] * 512, "the state's file system is larger than its partition")


@case("the option of an installation without questions stays on the stick")
def _():
    real, seen = disks.write, []

    def looking(device, pieces, at=0):
        if at == 2 * MIB:
            seen.append(get("boot/a/boot.cfg"))
        real(device, pieces, at)

    kept = get("boot/a/boot.cfg")
    option = kept[:-2] + b" lichgate.install=vdb debug'\n"
    put("boot/a/boot.cfg", option)
    disks.write = looking
    target()
    code, out, err = command("install", "--command-line")
    disks.write = real
    need(code == 0 and seen == [kept[:-2] + b" debug'\n"], f"{seen} {out}{err}")
    need(get("boot/a/boot.cfg") == option)
    put("boot/a/boot.cfg", kept)


@case("an installation whose terminal goes away leaves the boot partition writable")
def _():
    real, kept = disks.write, {number: signal.getsignal(number) for number in install.INTERRUPTS}

    def cut(device, pieces, at=0):
        if at == 2 * MIB:
            os.kill(os.getpid(), signal.SIGHUP)
        real(device, pieces, at)

    for number in install.INTERRUPTS:
        signal.signal(number, signal.SIG_DFL)
    disks.write = cut
    target()
    code, out, err = command("install", "vdb")
    disks.write = real
    for number, handler in kept.items():
        signal.signal(number, handler)
    need(code == 1 and "interrupted by SIGHUP" in err, out + err)
    need(get("dev/vdb")[:MIB] == bytes(MIB) and mounts[-1] == "remount,rw", "it looks finished, or /boot stays read-only")


@case("a damaged slot is not passed on, and a disk that keeps something else is noticed")
def _():
    target()
    root = get("dev/vda3")
    put("dev/vda3", b"?" + root[1:])
    code, out, err = command("install", "vdb")
    need(code == 1 and "slot a (version 1) of the disk that the system runs from is damaged" in err, out + err)
    need(get("dev/vdb")[:MIB] == bytes(MIB) and mounts[-1] == "remount,rw", "it looks finished")
    put("dev/vda3", root)
    real = disks.write

    def bad(device, pieces, at=0):
        real(device, pieces, at)
        if at == 6 * MIB:
            real(device, [b"?" * 16], 3 * MIB)

    disks.write = bad
    target()
    code, out, err = command("install", "vdb")
    disks.write = real
    need(code == 1 and "lichgate-boot reads back differently" in err, out + err)
    need(get("dev/vdb")[:MIB] == bytes(MIB), "it looks finished")


@case("what the system runs from is looked at before the other disk is erased: a kernel, a manifest, a signature")
def _():
    for name, damage, why in (("a/vmlinuz", b"?", "slot a is damaged: its vmlinuz is not what was signed"),
                              ("b/initrd", None, "slot b is damaged: its initrd is not what was signed"),
                              ("a/manifest.json", b"?", "the signature is not of the key"),
                              ("a/manifest.sig", None, "slot a holds no version")):
        kept = get("boot/" + name)
        target(b"data of somebody")
        if damage:
            put("boot/" + name, damage)
        else:
            os.unlink(path("boot/" + name))
        refused(["vdb", "--erase"], why)
        put("boot/" + name, kept)


@case("the console offers it to a system on a stick: a disk is chosen, and what is on it is not lost without a yes")
def _():
    called = []
    kept, console.command = console.command, lambda term, *words: called.append(words)
    for removable, offered in ((b"0", False), (b"1", True)):
        put("sys/devices/vda/removable", removable)
        need(("install on a disk" in typed("0\n", console.session)) == offered, removable)
        need(("runs from a stick" in console.banner()) == offered)
    for fill, answers, words in ((b"", "yes", [("install", path("dev/vdb"))]), (b"x", "no", []),
                                 (b"x", "yes", [("install", "--erase", path("dev/vdb"))])):
        target(fill)
        said = typed(f"1\n{answers}\n", console.menu_install)
        need("vda  0.0 GB  Own  (the system runs from it)" in said and "\n  1  vdb" in said, said)
        need(called == words and ("is lost" in said) == bool(fill), f"{called} {said}")
        called.clear()
    hardware("vdb", "Small", 20 * MIB, 253)
    try:
        typed("1\n", console.menu_install)
        need(False, "there was something to choose")
    except Refused as why:
        need("no disk" in str(why))
    console.command = kept


_root.appliance(_root.key("key.pem"))
for n in range(1, 6):
    os.unlink(path(f"sys/dev/block/8:{n}"))
os.unlink(path("sys/class/block/sda"))
own_disk()
sys.exit(run())
