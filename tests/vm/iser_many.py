#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=400
"""guest/iser_many.py in a guest."""
import sys

import _guest

if __name__ == "__main__":
    sys.exit(_guest.run_script("iser_many.py", 370))
