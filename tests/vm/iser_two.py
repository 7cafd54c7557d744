#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=700
"""guest/iser_two.py in a guest, the gateway in another: guest/iser_far.py."""
import sys

import _guest

if __name__ == "__main__":
    sys.exit(_guest.run_pair("iser_two.py", "iser_far.py", 600))
