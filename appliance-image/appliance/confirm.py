# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance confirm: a slot that is not known to be good has to pass the self-test to become it.

After an update the unit lichgate-confirm.service runs this, and systemd reboots if it fails or does not end: GRUB has
forgotten `try` already, so that the good slot comes back by itself.
"""
import contextlib

from . import Refused, record, selftest, slots, update


def add_arguments(parser):
    parser.add_argument("--wait", type=int, default=300, metavar="SECS", help="for the daemons to come up (default: 300)")


def say(what):
    print(what, flush=True)


def run(args):
    slot, trial = slots.running(), slots.on_trial()
    now = slots.environment()
    if now.get("good") == slot:
        with update.locked(wait=True):
            # GRUB counts the starts of the good slot, and turns to the other one when none of three got here. This comes
            # first: a state partition without room is no reason to count on.
            if now.get("starts"):
                slots.set_environment(starts="")
            record.settle()
        # What a self-test that was killed has left is gone now, or, if the daemons are not up, at another boot.
        with contextlib.suppress(selftest.Failed), selftest.alone():
            selftest.clean()
        say(f"Slot {slot} is the good one.")
        return 0
    held = slots.manifest(slot)
    name = f"version {held['version'] if held else 'unknown'} in slot {slot}"
    say(f"Testing {name}.")
    try:
        selftest.check(args.wait, trial, say)
    except Exception as why:
        # Whatever it is: what cannot be tested is not kept.
        say(f"Self-test of {name} failed: {why}.")
        if trial:
            with update.locked(wait=True):
                record.tested(slot, str(why) or type(why).__name__)
                slots.set_environment(**{"try": ""})
        raise Refused(f"{name} is not kept") from why
    with update.locked(wait=True):
        slots.set_environment(good=slot, starts="", **{"try": ""})
        record.tested(slot, "")
    say(f"Self-test passed: {name} is the good one from now on.")
    return 0
