# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance install: puts the running system on a disk of the machine, and reads back what it wrote.

The partitions of the disk that it runs from are copied: the boot partition with all that the user put there, and each slot
that holds a version, whose content has to be what its manifest says. The state partition is made anew, so that the new
system has an identity of its own. The partition table comes last: a disk that is not finished does not boot.
"""
import errno
import hashlib
import os
import re
import signal
import subprocess

from . import Refused, disks, paths, rollback, slots, tools, update

SECTOR = 512
MIB = 1 << 20
# Where a file system, a partition table or a volume manager leaves its mark.
HEAD, TAIL = 16 * MIB, 2 * MIB
STATE_LEAST = 256 * MIB
# The MBR's program, without its partition table.
MBR_CODE = 440
INTERRUPTS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
LABEL_BIOS, LABEL_BOOT, LABEL_STATE = "bios", "lichgate-boot", "lichgate-state"


def add_arguments(parser):
    parser.add_argument("disk", metavar="DISK", nargs="?", help="its name, as /dev/sda or sda; without it the disks are listed")
    parser.add_argument("--command-line", action="store_true", help="the disk is lichgate.install= of the kernel's command line")
    parser.add_argument("--erase", action="store_true", help="even if the disk carries something: it is lost")


def tool(*argv, text=None):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{argv[0]}: {(done.stderr or done.stdout).strip().splitlines()[-1:] or done.returncode}")
    return done.stdout


def mounted():
    """major:minor of everything that is mounted."""
    with open(paths.MOUNTS, encoding="utf-8", errors="replace") as f:
        return {line.split()[2] for line in f}


def in_use(sys_dir, mounts):
    """Why a disk cannot be written to, or ''."""
    for part in (sys_dir, *disks.partitions(sys_dir).values()):
        if disks.read(os.path.join(part, "dev")) in mounts:
            return "it is mounted"
        holders = os.path.join(part, "holders")
        if os.path.isdir(holders) and os.listdir(holders):
            return "it is in use"
    try:
        os.close(os.open(disks.device(sys_dir), os.O_RDONLY | os.O_EXCL))
    except OSError as e:
        return f"it cannot be opened: {e.strerror}" if e.errno != errno.EBUSY else "it is in use"
    return ""


def blank(path, size):
    """Has a disk nothing but zeroes where it would have a table or a file system?"""
    return not any(piece.strip(b"\0") for at, n in ((0, HEAD), (max(0, size - TAIL), TAIL))
                   for piece in disks.pieces(path, min(n, size), at))


def layout():
    """The system's own partitions: label → (start, size) in bytes, in the order of the disk."""
    found = {}
    for label, sys_dir in disks.partitions(disks.boot_disk()).items():
        found[label] = int(disks.read(os.path.join(sys_dir, "start"))) * SECTOR, disks.size_of(sys_dir)
    return found


def exported():
    """Directories in /sys of disks that are LUNs, or whose partitions are → which; None: the daemon does not say."""
    try:
        targets = tools.shown("target")["targets"]
    except Refused:
        return None
    found = {}
    for target in targets:
        for lun in target["luns"]:
            name = os.path.basename(os.path.realpath(paths.at(lun["path"] or "/")))
            # A namespace's or a SCSI device's own node has the disk beside it.
            scsi = os.path.join(paths.SYS, "class/scsi_generic", name, "device/block")
            name = os.listdir(scsi)[0] if os.path.isdir(scsi) else re.sub("^ng(?=[0-9])", "nvme", name)
            sys_dir = os.path.realpath(os.path.join(paths.SYS, "class/block", name))
            if os.path.exists(os.path.join(sys_dir, "partition")):
                sys_dir = os.path.dirname(sys_dir)
            found[sys_dir] = f"LUN {lun['lun']} of {target['iqn']}"
    return found


def refusal(sys_dir, own, least, mounts, luns):
    """Why this cannot be the disk to install on, and whether --erase would help."""
    if sys_dir == own:
        return "the system runs from it", False
    if disks.read(os.path.join(sys_dir, "ro")) == "1":
        return "it is read-only", False
    if disks.read(os.path.join(sys_dir, "queue/logical_block_size"), "512") != str(SECTOR):
        return "its sectors have not 512 bytes", False
    if disks.size_of(sys_dir) < least:
        return f"it is too small: {-(-least // MIB)} MiB are needed", False
    if sys_dir in (luns or {}):
        return f"it is {luns[sys_dir]}", False
    known = disks.identity(sys_dir)
    twin = next((lun for other, lun in (luns or {}).items() if known and disks.identity(other) == known), None)
    if twin:
        return f"it may be another path to {twin}", False
    why = in_use(sys_dir, mounts)
    if why:
        return why, False
    try:
        if blank(disks.device(sys_dir), disks.size_of(sys_dir)):
            return "", False
    except OSError as e:
        return f"it cannot be read: {e.strerror}", False
    if known and known == disks.identity(own):
        return "it may be another path to the disk that the system runs from", False
    if luns is None:
        return "it carries data, and lichgate-mgmtd does not say whether it is a LUN", False
    return "it carries data", True


def on_a_stick():
    """Does the system run from what one takes out again: a stick, or whatever else hangs on USB?"""
    own = disks.boot_disk()
    return disks.read(os.path.join(own, "removable")) == "1" or bool(re.search("/usb[0-9]", own))


def disks_in(top):
    """Directories in /sys of the real disks: hardware stands behind them, and it is no CD drive."""
    for name in sorted(os.listdir(top)):
        sys_dir = os.path.realpath(os.path.join(top, name))
        if (os.path.exists(os.path.join(sys_dir, "device")) and not os.path.exists(os.path.join(sys_dir, "partition")) and
                disks.read(os.path.join(sys_dir, "hidden")) != "1" and
                disks.read(os.path.join(sys_dir, "device/type")) != "5" and disks.size_of(sys_dir)):
            yield sys_dir


def found():
    """All disks; why: the reason that one is refused, or ''; erasable: with --erase it would be taken."""
    own, mounts, luns = disks.boot_disk(), mounted(), exported()
    least = layout()[LABEL_STATE][0] + STATE_LEAST + TAIL
    for sys_dir in disks_in(os.path.join(paths.SYS, "class/block")):
        why, erasable = refusal(sys_dir, own, least, mounts, luns)
        yield {
            "name": os.path.basename(sys_dir), "path": disks.device(sys_dir), "size": disks.size_of(sys_dir),
            "model": disks.read(os.path.join(sys_dir, "device/model")),
            "serial": disks.serial(sys_dir),
            "why": why, "erasable": erasable,
        }


def described(disk):
    words = [disk["name"], f"{disk['size'] / 1e9:.1f} GB", disk["model"], disk["serial"]]
    return "  ".join(word for word in words if word) + (f"  ({disk['why']})" if disk["why"] else "")


def table():
    """sfdisk's description of this disk's table, with no UUID in it and the state partition up to the end."""
    lines = ["label: gpt"]
    for line in tool("sfdisk", "-d", os.path.join(paths.DEV, os.path.basename(disks.boot_disk()))).splitlines():
        entry = re.fullmatch(r"\S+ *: *(.*)", line)
        if entry and "start=" in line:
            text = re.sub(r", *uuid=[^,]*", "", entry[1])
            if f'name="{LABEL_STATE}"' in text:
                text = re.sub(r", *size= *\d+", "", text)
            lines.append(text)
    return "\n".join(lines) + "\n"


class Copy:
    """Writes to one disk, and remembers what has to be found there until that is proven."""

    def __init__(self, path):
        self.path, self.sums = path, []

    def write(self, what, pieces, at, wanted=None):
        """wanted: the hash that is known beforehand."""
        total, size = hashlib.sha256(), 0

        def counted():
            nonlocal size
            for piece in pieces:
                total.update(piece)
                size += len(piece)
                yield piece

        disks.write(self.path, counted(), at)
        if wanted not in (None, total.hexdigest()):
            raise Refused(f"{what} of the disk that the system runs from is damaged; the new disk is not finished")
        self.sums.append((what, at, size, total.hexdigest()))

    def prove(self):
        for what, at, size, total in self.sums:
            back = hashlib.sha256()
            for piece in disks.pieces(self.path, size, at):
                back.update(piece)
            if back.hexdigest() != total:
                raise Refused(f"{what} reads back differently from what was written: the disk is not to be trusted")
            print(f"Read back: {what}, {size} bytes, SHA-256 {total}", flush=True)
        self.sums = []


def versions():
    """slot → manifest of each slot that GRUB would boot; they have to be signed, and the kernels whole."""
    held = {}
    for slot in slots.SLOTS:
        if slots.there(slot):
            held[slot] = rollback.signed(slot)
            wrong = update.proven(slot, held[slot], None, ("vmlinuz", "initrd"))
            if wrong:
                raise Refused(f"slot {slot} is damaged: its {wrong} is not what was signed")
    return held


def take_option():
    """Takes lichgate.install out of each boot.cfg, for the new system would install itself on; returns what they were."""
    was = {}
    for slot in slots.SLOTS:
        path = os.path.join(slots.directory(slot), "boot.cfg")
        text = disks.read(path) + "\n"
        rest = re.sub(r" lichgate\.install(=[^ ']*)?(?=[ '])", "", text)
        if rest != text:
            disks.put(path, [rest.encode()])
            was[path] = text.encode()
    return was


def copy_system(target, held):
    """All but the partition table and the state."""
    where = layout()
    own = disks.partitions(disks.boot_disk())
    was = take_option()
    # Unmounted for writing, the boot partition is whole on its disk, and stays as it is while it is copied.
    try:
        tool("mount", "-o", "remount,ro", paths.BOOT)
        for label in (LABEL_BIOS, LABEL_BOOT):
            start, size = where[label]
            target.write(label, disks.pieces(disks.device(own[label]), size), start)
        for slot, said in held.items():
            start, _ = where["lichgate-" + slot]
            want = said["files"]["root.img"]
            target.write(f"slot {slot} (version {said['version']})",
                         disks.pieces(disks.device(own["lichgate-" + slot]), want["size"]), start, want["sha256"])
    finally:
        tool("mount", "-o", "remount,rw", paths.BOOT)
        for path, text in was.items():
            disks.put(path, [text])


def interrupted(number, _frame):
    """The boot partition has to be writable again: an exception goes by all that cleans up, and nothing else does now."""
    for other in INTERRUPTS:
        signal.signal(other, signal.SIG_IGN)
    raise Refused(f"interrupted by {signal.Signals(number).name}; the new disk is not finished")


def install(disk):
    path, size = disk["path"], disk["size"]
    if slots.environment().get("good") != slots.running():
        raise Refused("the running version is on trial: wait for its self-test (lichgate-appliance status)")
    start = layout()[LABEL_STATE][0]
    text = table()
    held = versions()
    print(f"Installing on {described({**disk, 'why': ''})}.", flush=True)
    for at, n in ((0, HEAD), (size - TAIL, TAIL)):
        disks.write(path, (bytes(MIB) for _ in range(n // MIB)), at)
    target = Copy(path)
    copy_system(target, held)
    state = (size - start - TAIL) // MIB * MIB
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", LABEL_STATE, "-E", f"offset={start}",
         path, f"{state // 1024}k")
    target.prove()
    code = next(disks.pieces(os.path.join(paths.DEV, os.path.basename(disks.boot_disk())), MBR_CODE))
    tool("sfdisk", "-q", "--wipe", "never", path, text=text)
    target.write("the start for BIOS", [code], 0)
    target.prove()
    tool("sfdisk", "-q", "-V", path)


def run(args):
    every = list(found())
    if args.command_line:
        args.disk = slots.options().get("lichgate.install")
        if not args.disk:
            raise Refused("lichgate.install= names no disk")
    if not args.disk:
        for disk in every:
            print(described(disk))
        return 0
    name = os.path.basename(args.disk)
    disk = next((disk for disk in every if disk["name"] == name), None)
    if disk is None:
        raise Refused(f"there is no disk {name}")
    if disk["why"] and not (disk["erasable"] and args.erase):
        raise Refused(f"{name}: {disk['why']}" + ("; --erase erases it" if disk["erasable"] else ""))
    for number in INTERRUPTS:
        signal.signal(number, interrupted)
    try:
        # At a boot the self-test tells GRUB that this slot came up; with nobody at the console that is no reason to give up.
        with update.locked(wait=args.command_line):
            install(disk)
    except OSError as e:
        raise Refused(f"{e.filename or name}: {e.strerror}; the new disk is not finished") from e
    print(f"Installed and verified. Take out what this system was booted from, and boot from {name}.")
    return 0
