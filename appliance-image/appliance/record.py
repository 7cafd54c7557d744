# SPDX-License-Identifier: BSD-3-Clause
"""What became of the last update, for `status`: on the state partition, which both slots see. No boot depends on it."""
import json
import os

from . import disks, paths, slots

PATH = os.path.join(paths.STATE, "update.json")
KEYS = {"version", "slot", "state", "why"}


def last():
    """{"version", "slot", "state", "why"}; state: unfinished, written, kept or refused. None: no update yet, or none known."""
    try:
        with open(PATH, encoding="utf-8") as f:
            known = json.load(f)
    except (OSError, ValueError):
        return None
    # The version in the other slot may be another one, which writes it otherwise.
    return known if isinstance(known, dict) and KEYS <= known.keys() else None


def keep(version, slot, state, why=""):
    os.makedirs(paths.STATE, mode=0o700, exist_ok=True)
    disks.put(PATH, [json.dumps({"version": version, "slot": slot, "state": state, "why": why}).encode()])


def tested(slot, why):
    """The self-test of a slot has ended; why: what failed, or ''."""
    known = last()
    if known and known["slot"] == slot:
        # A power cut may have come between an update's word here and what it did to the slot.
        held = slots.manifest(slot) or known
        keep(held["version"], slot, "refused" if why else "kept", why)


def settle():
    """
    The good slot runs. If an update was to be tried and GRUB knows no more of it, its boot came to nothing; but if this is
    its slot, only the word of it was lost. A version that was refused is nothing to go back to, so its slot is emptied.
    """
    known = last()
    if known and known["state"] == "written" and not slots.environment().get("try"):
        tested(known["slot"], "" if known["slot"] == slots.running() else "it did not come up")
        known = last()
    slot = slots.other(slots.running())
    if known and known["state"] == "refused" and known["slot"] == slot and slots.manifest(slot):
        slots.clear(slot)
