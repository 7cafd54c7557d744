# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance update: writes a version into the slot that does not run, and has it tried at the next boot.

The order is what makes a power cut harmless. The other slot is taken out of GRUB's sight first; its boot.cfg comes back
last of its files, and only then `try` names it. `good` is never touched here: that is for `confirm`, after the boot.
"""
import os
import re
import subprocess
import sys

from . import Refused, bundle, disks, paths, record, slots, tools


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE", help="lichgate-VERSION.update; - for standard input")
    parser.add_argument("--reboot", action="store_true", help="try it at once")


def locked(wait=False):
    """One command at a time changes slots; another is refused, or waits."""
    return tools.locked(paths.LOCK, None if wait else "another update, rollback or installation is at work")


def order(version):
    """Something to compare versions by: numbers as numbers, and what follows a ~ before what does not."""
    return [(0, 0, "") if part == "~" else (2, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.findall(r"\d+|~|[A-Za-z]+", version)] + [(1, 0, "")]


def kind(new, old):
    if old is None or order(new) > order(old):
        return "an update"
    return "a downgrade" if order(new) < order(old) else "the same version again"


def fits(said, slot, room):
    """Refuses what cannot be written before anything is."""
    files = said["files"]
    if files["root.img"]["size"] > room:
        raise Refused("the update's root is larger than the slot of this disk")
    folder = slots.directory(slot)
    freed = sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder)) if os.path.isdir(folder) else 0
    fs = os.statvfs(paths.BOOT)
    if files["vmlinuz"]["size"] + files["initrd"]["size"] + bundle.MANIFEST_MOST > fs.f_bavail * fs.f_frsize + freed:
        raise Refused("the boot partition has no room for the update's kernel")


def drain(pieces):
    for _ in pieces:
        pass


def proven(slot, said, device, names=bundle.FILES):
    """Reads a slot back from the disk; the name of the first file that is not what the manifest says, or None."""
    for name in names:
        want = said["files"][name]
        path = device if name == "root.img" else os.path.join(slots.directory(slot), name)
        try:
            if disks.sha256(path, want["size"]) != want["sha256"]:
                return name
        except FileNotFoundError:
            return name
    return None


def write(stream, slot, device, manifest, signature, said):
    folder = slots.directory(slot)
    # What became of the update before it, which may be in that slot and still to be tried, is true no longer.
    record.keep(said["version"], slot, "unfinished")
    # From here on the other slot is empty, whatever happens.
    slots.set_environment(**{"try": ""})
    slots.clear(slot)
    bundle.files(stream, said, {
        "vmlinuz": lambda pieces: disks.put(os.path.join(folder, "vmlinuz"), pieces),
        "initrd": lambda pieces: disks.put(os.path.join(folder, "initrd"), pieces),
        "root.img": lambda pieces: disks.write(device, pieces),
    })
    wrong = proven(slot, said, device)
    if wrong:
        raise Refused(f"the disk gave back another {wrong} than was written to it; slot {slot} is empty now")
    disks.put(os.path.join(folder, "manifest.sig"), [signature])
    disks.put(os.path.join(folder, "manifest.json"), [manifest])
    disks.put(os.path.join(folder, "boot.cfg"), [slots.boot_cfg(said, slot).encode("ascii")])
    record.keep(said["version"], slot, "written")
    slots.set_environment(**{"try": slot})


def install(stream):
    now = slots.running()
    if slots.environment().get("good") != now:
        raise Refused(f"slot {now} runs and is not the good one: wait for its self-test, or after a rollback restart "
                      "(lichgate-appliance status)")
    slot = slots.other(now)
    device, room = disks.own_partition("lichgate-" + slot)
    start = stream.tell() if stream.seekable() else None
    manifest, signature, said = bundle.opened(stream)
    held = slots.manifest(now)
    old = held and held["version"]
    print(f"Version {said['version']}: {kind(said['version'], old)} (running: {old or 'unknown'}).", flush=True)
    fits(said, slot, room)
    if start is not None:
        # A file can be read twice: a damaged one then leaves the other slot as it is.
        bundle.files(stream, said, dict.fromkeys(bundle.FILES, drain))
        stream.seek(start)
        if bundle.head(stream) != (manifest, signature):
            raise Refused("the file changed while it was read")
    print(f"Writing it to slot {slot}.", flush=True)
    write(stream, slot, device, manifest, signature, said)
    print(f"Written to slot {slot} and read back. The next boot tries it, and keeps it if its self-test passes.")


def run(args):
    try:
        with locked():
            if args.file == "-" and sys.stdin is None:
                raise Refused("there is no standard input")
            if args.file == "-":
                install(sys.stdin.buffer)
            else:
                with open(args.file, "rb") as stream:
                    install(stream)
    except OSError as e:
        raise Refused(f"{e.filename or args.file}: {e.strerror}") from e
    if args.reboot:
        return subprocess.run(["systemctl", "reboot"], check=False).returncode
    return 0
