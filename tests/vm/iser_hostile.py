#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=1800
"""guest/iser_hostile.py in a guest, with the initiator that does what none should. An argument: attacks that match it alone."""
import os
import shlex
import sys

import _guest

RAW = "tests/vm/raw_iser"

if not os.path.exists(os.path.join(_guest.BUILD, RAW)):
    print("built without RDMA")
    sys.exit(77)
sys.exit(_guest.run_script(" ".join(["iser_hostile.py", *map(shlex.quote, sys.argv[1:])]), 1750, programs=(RAW,)))
