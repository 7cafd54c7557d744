#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=1600
"""guest/iser_conform.py in a guest of Debian 13: libiscsi 1.19, of Debian 12, ends by a signal over iSER with any target."""
import sys

import _guest

if __name__ == "__main__":
    _guest.of_release("trixie")
    sys.exit(_guest.run_script("iser_conform.py", 1550))
