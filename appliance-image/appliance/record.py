# SPDX-License-Identifier: BSD-3-Clause
"""What became of the last update, for `status`: on the state partition, which both slots see. No boot depends on it."""
import json
import os

from . import disks, paths, slots

PATH = os.path.join(paths.STATE, "update.json")


def last():
    """{"version", "state", "why"}; state: written, kept or refused. None: no update yet."""
    try:
        with open(PATH, encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


def keep(version, state, why):
    os.makedirs(paths.STATE, mode=0o700, exist_ok=True)
    disks.put(PATH, [json.dumps({"version": version, "state": state, "why": why}).encode()])


def begin(version):
    keep(version, "written", "")


def end(kept, why):
    known = last()
    if known:
        keep(known["version"], "kept" if kept else "refused", why)


def settle():
    """
    The good slot runs. If an update was to be tried and GRUB knows no more of it, its boot came to nothing. A version that
    was refused is nothing to go back to, so its slot is emptied.
    """
    known = last()
    if known and known["state"] == "written" and not slots.environment().get("try"):
        keep(known["version"], "refused", "it did not come up")
        known = last()
    slot = slots.other(slots.running())
    held = slots.manifest(slot)
    if known and held and known["state"] == "refused" and known["version"] == held["version"]:
        slots.clear(slot)
