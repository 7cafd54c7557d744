# SPDX-License-Identifier: BSD-3-Clause
"""The two slots: which runs, what each holds, and GRUB's environment block that says which boots."""
import json
import os
import re

from . import Refused, disks, paths

SLOTS = ("a", "b")
ENV_SIZE = 1024
ENV_HEAD = "# GRUB Environment Block\n"
OURS = ("good", "try")

# What may stand in a manifest that ends up in GRUB's script and on the kernel's command line.
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~-]{0,63}")
CMDLINE = re.compile(r"[A-Za-z0-9_.,:=/@+ -]{0,1024}")
HASH = re.compile(r"[0-9a-f]{64}")


def other(slot):
    return "b" if slot == "a" else "a"


def options():
    """The kernel's command line, as a dictionary; a word without a value has ''."""
    with open(paths.CMDLINE, encoding="ascii", errors="replace") as f:
        return dict((word.partition("=")[0], word.partition("=")[2]) for word in f.read().split())


def running():
    slot = options().get("lichgate.slot")
    if slot not in SLOTS:
        raise Refused("this system was not booted from a slot of an appliance")
    return slot


def on_trial():
    """Is this the one boot that an update asked for?"""
    return "lichgate.try" in options()


def environment():
    """GRUB's variables. Without the head GRUB takes nothing in the block for true, and nor does this."""
    try:
        with open(paths.GRUBENV, "rb") as f:
            block = f.read(ENV_SIZE)
    except OSError as e:
        if isinstance(e, FileNotFoundError) and os.path.isdir(os.path.dirname(paths.GRUBENV)):
            return {}
        raise Refused(f"the boot partition cannot be read: {e.strerror}") from e
    if not block.startswith(ENV_HEAD.encode()):
        return {}
    lines = [line.decode() for line in block.split(b"\n") if b"=" in line and line.isascii() and not line.startswith(b"#")]
    return dict(line.split("=", 1) for line in lines)


def set_environment(**changes):
    """
    Changes some of GRUB's variables. GRUB wants 1024 bytes, and writes them where they are: so does this. What counts
    is in the first sector, which a disk writes whole or not at all.
    """
    now = {**environment(), **changes}
    text = ENV_HEAD + "".join(f"{key}={now[key]}\n" for key in sorted(now, key=lambda k: (k not in OURS, k)))
    if len(text) > ENV_SIZE:
        raise Refused("GRUB's environment block is full")
    fd = os.open(paths.GRUBENV, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        disks.on(paths.GRUBENV, os.pwrite, fd, text.ljust(ENV_SIZE, "#").encode("ascii"), 0)
        disks.on(paths.GRUBENV, os.fsync, fd)
    finally:
        os.close(fd)


def directory(slot):
    return os.path.join(paths.BOOT, slot)


def there(slot):
    """
    Would GRUB choose a slot? boot.cfg is written last and removed first, so without it the slot is empty. FAT gives a file its
    name before its content.
    """
    try:
        return os.path.getsize(os.path.join(directory(slot), "boot.cfg")) > 0
    except FileNotFoundError:
        return False


def manifest(slot):
    """What a slot holds, or None."""
    if not there(slot):
        return None
    try:
        with open(os.path.join(directory(slot), "manifest.json"), encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


def clear(slot):
    """Empties a slot's folder, what GRUB looks for first."""
    folder = directory(slot)
    os.makedirs(folder, exist_ok=True)
    for name in sorted(os.listdir(folder), key=lambda name: name != "boot.cfg"):
        os.unlink(os.path.join(folder, name))
        disks.sync_directory(folder)


def boot_cfg(manifest, slot):
    """What GRUB reads of a slot: grub.cfg puts $options behind the kernel's name. The image's builder uses it, too."""
    return (f"set version='{manifest['version']}'\n"
            f"set options='{manifest['cmdline']} lichgate.slot={slot} lichgate.roothash={manifest['roothash']}"
            f" lichgate.hashoffset={manifest['hash_offset']}'\n")


def boots(manifest, slot, text):
    """Would GRUB start that version with this boot.cfg? More options may follow: the initramfs takes the first of a name."""
    known = re.escape(boot_cfg(manifest, slot).rstrip("'\n"))
    return re.fullmatch(f"{known}( {CMDLINE.pattern})?'\n", text) is not None
