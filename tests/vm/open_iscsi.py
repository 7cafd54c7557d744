#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=1200
"""guest/open_iscsi.py in a guest."""
import sys

import _guest

sys.exit(_guest.run_script("open_iscsi.py", 1150))
