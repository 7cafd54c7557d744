#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=900
"""guest/persist.py in a guest that loses its power half way, and in one that finds its disk."""
import os
import sys
import tempfile

import _guest

SECS = 420


def disk(path):
    return ["-drive", f"file={path},format=raw,if=virtio"]


def main():
    _guest.require_built()
    with tempfile.TemporaryDirectory(prefix="lgt-vm.") as work:
        state = os.path.join(work, "state.img")
        with open(state, "wb") as f:
            f.truncate(128 << 20)
        first = _guest.Guest(work, "persist.py", hardware=disk(state))
        first.run(SECS)
        print(first.said())
        if not first.ended or "the power is cut" not in first.said():
            return first.verdict() or 1
        return _guest.run_script("persist.py", SECS, lambda _: disk(state))


if __name__ == "__main__":
    sys.exit(main())
