#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=600
"""guest/sg_tools.py in a guest."""
import sys

import _guest

sys.exit(_guest.run_script("sg_tools.py", 550))
