# SPDX-License-Identifier: BSD-3-Clause
"""lichgate-appliance rollback: the other slot boots from now on, if what it holds is whole."""
import os
import subprocess

from . import Refused, bundle, disks, record, slots, update


def add_arguments(parser):
    parser.add_argument("--reboot", action="store_true", help="boot it at once")


def signed(slot):
    """The manifest of what a slot holds, if we signed it."""
    try:
        with open(os.path.join(slots.directory(slot), "boot.cfg"), encoding="ascii", errors="replace") as boot, \
                open(os.path.join(slots.directory(slot), "manifest.json"), "rb") as manifest, \
                open(os.path.join(slots.directory(slot), "manifest.sig"), "rb") as signature:
            said = bundle.checked(manifest.read(bundle.MANIFEST_MOST), signature.read(bundle.SIGNATURE))
            if not slots.boots(said, slot, boot.read()):
                raise Refused(f"slot {slot} is damaged: its boot.cfg is not that of its version")
            return said
    except FileNotFoundError:
        raise Refused(f"slot {slot} holds no version to go back to") from None


def whole(slot):
    """The version in a slot, if all that its manifest speaks of is on the disk."""
    said = signed(slot)
    wrong = update.proven(slot, said, disks.own_partition("lichgate-" + slot)[0])
    if wrong:
        raise Refused(f"slot {slot} is damaged: its {wrong} is not what was signed")
    return said["version"]


def run(args):
    with update.locked():
        now = slots.running()
        slot = slots.other(now)
        if slots.on_trial() and slots.environment().get("good") != now:
            raise Refused("the running version is on trial and not kept yet: restart to go back to the other one")
        version = whole(slot)
        last = record.last()
        if last and last["slot"] == slot and last["state"] != "kept":
            raise Refused(f"version {version} in slot {slot} has not passed its self-test: nothing to go back to")
        slots.set_environment(good=slot, **{"try": ""})
    print(f"The next boot, and every one after it, starts version {version} in slot {slot}.")
    if args.reboot:
        return subprocess.run(["systemctl", "reboot"], check=False).returncode
    return 0
