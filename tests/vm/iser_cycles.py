#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=900
"""guest/iser_cycles.py in a guest."""
import sys

import _guest

if __name__ == "__main__":
    sys.exit(_guest.run_script("iser_cycles.py", 870, programs=["tests/vm/raw_iser"]))
