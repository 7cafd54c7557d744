#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=600
"""guest/nvme.py in a guest with NVMe devices, one of them faulty."""
import os
import sys

import _guest

MIB = 1 << 20
# Reads of this place fail; the numbers are sectors of 512 bytes.
BAD = """
[inject-error]
event = "read_aio"
errno = "5"
sector = "2048"
"""


def hardware(work):
    """Three controllers: blocks of 512 and of 4096 bytes, and one with a bad sector, to be pulled."""
    argv = []
    with open(os.path.join(work, "bad.conf"), "w", encoding="ascii") as f:
        f.write(BAD)
    for i, (name, extra) in enumerate((("good", ""), ("large", ",logical_block_size=4096,physical_block_size=4096"),
                                       ("bad", ""))):
        image = os.path.join(work, name + ".img")
        with open(image, "wb") as f:
            f.truncate(64 * MIB)
        how = f"blkdebug:{work}/bad.conf:{image}" if name == "bad" else image
        argv += ["-drive", f"file={how},if=none,id=d{i},format=raw,discard=unmap,cache=unsafe",
                 "-device", f"nvme,id={name},serial={name},drive=d{i},max_ioqpairs=4{extra}"]
    return argv


def wish(monitor, name, *args):
    if name == "pull":
        monitor("device_del", id=args[0])


if __name__ == "__main__":
    sys.exit(_guest.run_script("nvme.py", 570, hardware, wish))
