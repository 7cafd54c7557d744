#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=600
"""e2e/dm.py in a guest, whose kernel has a device mapper."""
import sys

import _guest

if __name__ == "__main__":
    sys.exit(_guest.run_script("dm.py", 570))
