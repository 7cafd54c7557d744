# SPDX-License-Identifier: BSD-3-Clause
"""lichgate-appliance status: what runs and what will boot."""
import json

from . import record, slots


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="for programs")


def state():
    """One dictionary for people and programs."""
    env = slots.environment()
    held = {slot: slots.manifest(slot) for slot in slots.SLOTS}
    running = slots.running()
    return {
        "running": running,
        "version": held[running]["version"] if held[running] else None,
        "trial": slots.on_trial(),
        "good": env.get("good", ""),
        "try": env.get("try", ""),
        "slots": {slot: held[slot] and held[slot]["version"] for slot in slots.SLOTS},
        "update": record.last(),
    }


def run(args):
    now = state()
    if args.json:
        print(json.dumps(now, indent=2))
        return 0
    for slot in slots.SLOTS:
        marks = [mark for mark, yes in (
            ("running", slot == now["running"]), ("on trial", slot == now["running"] and now["trial"]),
            ("good", slot == now["good"]), ("boots next, once", slot == now["try"])) if yes]
        print(f"slot {slot}: {now['slots'][slot] or 'empty'}{' (' + ', '.join(marks) + ')' if marks else ''}")
    last = now["update"]
    if last:
        print(f"last update: version {last['version']}, {last['state']}{': ' + last['why'] if last['why'] else ''}")
    return 0
