#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""update, rollback and status on a directory that looks like an appliance."""
import contextlib
import errno
import io
import json
import os
import subprocess
import sys

import _root
from _root import command, everything, get, path, put, update_of
from tap import case, need, run

KEY = _root.key("key.pem")
STRANGER = _root.key("stranger.pem")


def env():
    block = get("boot/grub/grubenv")
    need(len(block) == 1024 and block.startswith(b"# GRUB Environment Block\n"), "GRUB's block is broken")
    return dict(line.split("=") for line in block.decode().split("\n") if "=" in line)


def fresh():
    for slot, version in (("a", "1"), ("b", "0")):
        for name in os.listdir(path(f"boot/{slot}")):
            os.unlink(path(f"boot/{slot}/{name}"))
        _root.hold(slot, version, KEY)
    _root.grubenv(good="a", more="kept")
    put("proc/cmdline", "quiet lichgate.slot=a")
    if os.path.exists(path("var/lib/appliance/update.json")):
        os.unlink(path("var/lib/appliance/update.json"))


def holds(slot, version):
    """Is all of that version in the slot, for GRUB and for the initrd?"""
    files = _root.parts(version)
    device = "dev/vda3" if slot == "a" else "dev/vda4"
    return (os.path.exists(path(f"boot/{slot}/boot.cfg")) and
            all(get(f"boot/{slot}/{n}") == files[n] for n in ("vmlinuz", "initrd")) and
            get(device).startswith(files["root.img"]))


def refused(words, why, stdin=b"", same=True):
    before = everything()
    code, out, err = command(*words, stdin=stdin)
    need(code == 1 and why in err and err.count("\n") == 1, f"exit {code}, said: {err}{out}")
    after = everything()
    if same:
        need(before == after, f"changed: {[n for n in before if before[n] != after.get(n)]}")
    need(env().get("good") == "a" and not env().get("try"), f"GRUB's block says {env()}")
    need(holds("a", "1"), "the running slot was touched")


def refused_file(data, why):
    """As a file nothing changes; as a stream the other slot may be empty, but never half there."""
    put("tmp/u", data)
    refused(["update", path("tmp/u")], why)
    fresh()
    refused(["update", "-"], why, stdin=data, same=False)
    need(holds("b", "0") or not os.path.exists(path("boot/b/boot.cfg")), "slot b looks whole and is not")
    fresh()


@case("an update goes into the other slot of this disk, and is tried once")
def _():
    for how in ("file", "stream"):
        put("tmp/u", update_of("2", KEY))
        other_disk = [get(f"dev/sda{n}") for n in range(1, 6)]
        code, out, err = (command("update", path("tmp/u")) if how == "file" else
                          command("update", "-", stdin=get("tmp/u")))
        need(code == 0 and not err, f"exit {code}: {err}")
        need("an update (running: 1)" in out and "The next boot tries it" in out, out)
        need(holds("b", "2") and holds("a", "1"))
        need(env() == {"good": "a", "try": "b", "more": "kept"}, str(env()))
        need(get("boot/b/boot.cfg").decode().splitlines() == [
            "set version='2'", "set options='quiet panic=10 lichgate.slot=b lichgate.roothash=" + "ab" * 32 +
            " lichgate.hashoffset=8192'"], get("boot/b/boot.cfg").decode())
        need(sorted(os.listdir(path("boot/b"))) == ["boot.cfg", "initrd", "manifest.json", "manifest.sig", "vmlinuz"])
        need(other_disk == [get(f"dev/sda{n}") for n in range(1, 6)], "a data disk was written")
        fresh()


@case("a downgrade and the same version are taken, and said to be so")
def _():
    for version, running, word in (("1", "1", "the same version again"), ("0.9", "1", "a downgrade"),
                                   ("1.0~rc1", "1.0", "a downgrade"), ("0.10", "0.9", "an update")):
        _root.hold("a", running, KEY)
        code, out, err = command("update", "-", stdin=update_of(version, KEY))
        need(code == 0 and word in out, f"exit {code}: {out}{err}")
        fresh()


@case("what is not signed by our key is refused before anything behind the signature is read")
def _():
    refused_file(update_of("2", STRANGER), "the signature is not of the key")
    good = update_of("2", KEY)
    refused_file(good.replace(b'"version": "2"', b'"version": "3"', 1), "the signature is not of the key")
    # Without the rest: it would be cut short, if that were looked at.
    foreign = update_of("2", STRANGER)
    refused_file(foreign[:foreign.index(b"vmlinuz\0")], "the signature is not of the key")


@case("a damaged, foreign or truncated file is refused, and the slot never looks whole")
def _():
    good = update_of("2", KEY)
    for name in _root.NAMES:
        at = good.index(name.encode() + b" of 2") + 20000
        refused_file(good[:at] + b"?" + good[at + 1:], f"{name} in the update file is not the one that was signed")
    for size in (0, 100, 512, 700, 2000, 50000, len(good) - 30000):
        refused_file(good[:size], "the file is cut short")
    refused_file(os.urandom(200000), "this is no update file")
    refused_file(b"\0" * 200000, "this is no update file")
    files = _root.parts("2")
    text = _root.manifest("2", files)
    head = [("manifest.json", text), ("manifest.sig", _root.sign(text, KEY))]
    refused_file(_root.pack([*head, ("root.img", files["root.img"])]), "it has 'root.img' where 'vmlinuz' belongs")
    refused_file(_root.pack([*head, ("vmlinuz", files["initrd"])]), "vmlinuz in the update file is not the one")
    refused_file(_root.pack([("manifest.json", b" " * 70000)]), "manifest.json in the update file has an impossible size")


@case("a manifest with anything in it that GRUB's script must not have is refused, signed or not")
def _():
    files = _root.parts("2")
    sizes = {n: {"size": len(d), "sha256": "0" * 64} for n, d in files.items()}
    for changes in ({"version": "2'; halt"}, {"version": 2}, {"cmdline": "a'b"}, {"cmdline": "a\nb"}, {"roothash": "ab"},
                    {"hash_offset": "1"}, {"hash_offset": 100}, {"hash_offset": -4096}, {"hash_offset": 1 << 40},
                    {"hash_offset": True}, {"files": []}, {"files": {}}, {"files": {**sizes, "../x": sizes["initrd"]}},
                    {"files": {**sizes, "initrd": {"size": -1, "sha256": "0" * 64}}},
                    {"files": {**sizes, "initrd": {"size": 1 << 40, "sha256": "0" * 64}}}):
        refused_file(update_of("2", KEY, **changes), "the manifest of the update is not in order")
    refused_file(update_of("2", KEY, format=2), "needs a newer version in between")
    big = {**files, "root.img": b"r" * (_root.PART_SIZE + 4096)}
    refused_file(update_of("2", KEY, big), "larger than the slot of this disk")


@case("no update while the running slot is not known to be good")
def _():
    _root.grubenv(good="b", **{"try": ""})
    code, _, err = command("update", "-", stdin=update_of("2", KEY))
    need(code == 1 and "wait for its self-test" in err, err)
    fresh()
    put("proc/cmdline", "quiet")
    code, _, err = command("update", "-", stdin=update_of("2", KEY))
    need(code == 1 and "not booted from a slot" in err, err)
    fresh()
    need(command("rollback")[0] == 0)
    code, _, err = command("update", "-", stdin=update_of("2", KEY))
    need(code == 1 and "after a rollback restart" in err, err)
    fresh()


@case("without a standard input there is no update on it")
def _():
    p = subprocess.run(["sh", "-c", 'exec "$0" -m appliance update - <&-', sys.executable], capture_output=True, text=True,
                       check=False, env=dict(os.environ, PYTHONPATH=os.path.join(_root.TOP, "appliance-image")))
    need(p.returncode == 1 and p.stderr == "lichgate-appliance update: there is no standard input\n", p.stderr)


@case("a damaged block of GRUB's is not taken for more than GRUB takes it for, and is made anew")
def _():
    from appliance import slots
    block = get("boot/grub/grubenv")
    for damage in (None, b"", os.urandom(1024), b"\xe9=\xff\n" * 200, block.replace(b"# GRUB", b"\0\0\0\0\0\0"),
                   b"x=y\n" * 256):
        if damage is None:
            os.unlink(path("boot/grub/grubenv"))
        else:
            put("boot/grub/grubenv", damage)
        code, _, err = command("update", "-", stdin=update_of("2", KEY))
        need(code == 1 and "wait for its self-test" in err and holds("b", "0"), f"{damage}: {err}")
        slots.set_environment(good="a")
        need(env() == {"good": "a"}, f"{damage}: {env()}")
        need(command("update", "-", stdin=update_of("2", KEY))[0] == 0 and env()["try"] == "b")
        fresh()
    put("boot/grub/grubenv", block.replace(b"more=kept", b"m\xe9re=kept"))
    slots.set_environment(**{"try": "b"})
    need(env() == {"good": "a", "try": "b"}, str(env()))
    fresh()


@case("a disk that fails is named as what failed, and not the update file")
def _():
    put("tmp/u", update_of("2", KEY))
    refused(["update", "/proc/self/mem"], "update: /proc/self/mem: Input/output error")
    os.symlink("/dev/full", path("var/lib/appliance/update.json.new"))
    refused(["update", path("tmp/u")], f"update: {path('var/lib/appliance/update.json.new')}: No space left")
    os.unlink(path("var/lib/appliance/update.json.new"))
    os.unlink(path("dev/vda4"))
    os.symlink("/dev/full", path("dev/vda4"))
    code, _, err = command("update", path("tmp/u"))
    need(code == 1 and f"update: {path('dev/vda4')}: No space left" in err, err)
    os.unlink(path("dev/vda4"))
    fresh()
    kept = os.fsync
    for name, file in (("grubenv", "boot/grub/grubenv"), ("initrd.new", "boot/b/initrd.new"), ("b", "boot/b")):
        def full(fd, name=name):
            if os.path.basename(os.readlink(f"/proc/self/fd/{fd}")) == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync = full
        code, _, err = command("update", path("tmp/u"))
        os.fsync = kept
        need(code == 1 and f"update: {path(file)}: No space left" in err, err)
        fresh()

    def dying(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    read, os.preadv = os.preadv, dying
    code, _, err = command("rollback")
    os.preadv = read
    need(code == 1 and f"rollback: {path('boot/b/vmlinuz')}: Input/output error" in err, err)


class Cut(BaseException):
    """The power is gone."""


def update_until(moment):
    """An update with a power cut before its write or sync number MOMENT; False: it came to its end before that."""
    from appliance import update
    real = {name: getattr(os, name) for name in ("fsync", "fdatasync", "replace", "unlink", "pwrite")}
    left = moment

    def cutting(name):
        def call(*args, **more):
            nonlocal left
            # With more arguments it is not the command that calls.
            left -= not more
            if left < 0 and not more:
                raise Cut
            return real[name](*args, **more)
        return call

    try:
        with open(path("tmp/u"), "rb") as f, contextlib.redirect_stdout(io.StringIO()):
            for name in real:
                setattr(os, name, cutting(name))
            update.install(f)
        return False
    except Cut:
        return True
    finally:
        for name, func in real.items():
            setattr(os, name, func)


@case("a power cut before any write or sync leaves the good slot, and the other whole or out of sight")
def _():
    from appliance import slots
    put("tmp/u", update_of("2", KEY))
    moment, seen, cut = 0, set(), True
    while cut:
        cut = update_until(moment)
        need(env()["good"] == "a" and holds("a", "1"), f"moment {moment}: the good slot is gone")
        held = slots.manifest("b")
        need(not os.path.exists(path("boot/b/boot.cfg")) or held and holds("b", held["version"]),
             f"moment {moment}: slot b looks whole and is not")
        need(not env().get("try") or holds("b", "2"), f"moment {moment}: an unfinished slot would be tried")
        seen.add((held and held["version"], env().get("try", "")))
        if env().get("try") or held and held["version"] == "2":
            kept, (code, _, err) = get("boot/grub/grubenv"), command("rollback")
            need(code == 1 and "has not passed its self-test" in err and get("boot/grub/grubenv") == kept,
                 f"moment {moment}: a version that was never tested is gone back to: {err}")
        fresh()
        moment += 1
    need(moment > 15 and {("0", ""), (None, ""), ("2", ""), ("2", "b")} <= seen, f"{moment} moments, {seen}")


@case("rollback takes a whole slot, and no other")
def _():
    code, out, err = command("rollback")
    need(code == 0 and "version 0 in slot b" in out and env() == {"good": "b", "try": "", "more": "kept"}, out + err)
    fresh()
    refusals = (("boot/b/boot.cfg", None, "holds no version"), ("boot/b/vmlinuz", b"x", "its vmlinuz is not"),
                ("boot/b/initrd", None, "its initrd is not"), ("boot/b/manifest.sig", b"y" * 64, "the signature"),
                ("dev/vda4", b"z" * _root.PART_SIZE, "its root.img is not"), ("boot/b/boot.cfg", b"", "its boot.cfg is not"),
                ("boot/b/boot.cfg", get("boot/b/boot.cfg").replace(b"ab", b"cd"), "its boot.cfg is not"),
                ("boot/b/boot.cfg", get("boot/b/boot.cfg")[:-2] + b" x'; halt; '\n", "its boot.cfg is not"),
                ("boot/b/boot.cfg", get("boot/b/boot.cfg")[:-2] + b"0'\n", "its boot.cfg is not"))
    for name, data, why in refusals:
        if data is None:
            os.unlink(path(name))
        else:
            put(name, data)
        refused(["rollback"], why)
        fresh()
    put("boot/b/boot.cfg", get("boot/b/boot.cfg")[:-2] + b" systemd.show_status=1'\n")
    need(command("rollback")[0] == 0, "options of one's own are refused")
    fresh()


@case("rollback is refused while the self-test of the running version may still keep it, and during an update")
def _():
    from appliance import update
    put("proc/cmdline", "quiet lichgate.slot=b lichgate.try")
    refused(["rollback"], "on trial and not kept yet")
    fresh()
    with update.locked():
        refused(["rollback"], "is at work")
    need(command("rollback")[0] == 0)
    fresh()


@case("status tells what runs, what is good and what boots next")
def _():
    command("update", "-", stdin=update_of("2", KEY))
    code, out, _ = command("status")
    need(code == 0 and out == "slot a: 1 (running, good)\nslot b: 2 (boots next, once)\n"
         "last update: version 2, written\n", out)
    put("proc/cmdline", "quiet lichgate.slot=b lichgate.try")
    _root.grubenv(good="a", **{"try": ""})
    said = json.loads(command("status", "--json")[1])
    need(said == {"running": "b", "version": "2", "trial": True, "good": "a", "try": "", "slots": {"a": "1", "b": "2"},
                  "update": {"version": "2", "slot": "b", "state": "written", "why": ""}},
         str(said))
    fresh()


@case("a boot.cfg that a power cut left with a name and no content is that of an empty slot")
def _():
    put("boot/b/boot.cfg", b"")
    out = command("status")[1]
    need(out == "slot a: 1 (running, good)\nslot b: empty\n", out)
    fresh()


@case("an update that broke off is told as unfinished, whatever was written before it")
def _():
    command("update", "-", stdin=update_of("2", KEY))
    need(command("update", "-", stdin=update_of("3", KEY)[:-50000])[0] == 1)
    out = command("status")[1]
    need(out == "slot a: 1 (running, good)\nslot b: empty\nlast update: version 3, unfinished\n", out)
    fresh()


_root.appliance(KEY)
sys.exit(run())
