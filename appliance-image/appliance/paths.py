# SPDX-License-Identifier: BSD-3-Clause
"""Where things are. With LICHGATE_ROOT set, below that directory: tests need no appliance and no root."""
import os

ROOT = os.environ.get("LICHGATE_ROOT", "")


def at(path):
    """The place of an absolute path of the appliance."""
    return ROOT + path


# The boot partition, FAT: GRUB, both slots' kernels, and what the user put there.
BOOT = at("/boot")
GRUBENV = at("/boot/grub/grubenv")
APPLIANCE_JSON = at("/boot/appliance.json")
SEED = at("/boot/seed")
# What the appliance keeps for itself on the state partition.
STATE = at("/var/lib/appliance")
# The key that signs updates.
UPDATE_KEY = at("/usr/lib/lichgate/update.pub")
# Held by whoever changes slots.
LOCK = at("/run/lichgate-appliance.lock")
# Held by the self-test that has the scratch target.
SELFTEST_LOCK = at("/run/lichgate-selftest.lock")
CMDLINE = at("/proc/cmdline")
MOUNTS = at("/proc/self/mountinfo")
SYS = at("/sys")
DEV = at("/dev")
