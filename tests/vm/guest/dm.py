# SPDX-License-Identifier: BSD-3-Clause
"""e2e/dm.py with the modules that it needs."""
import os
import subprocess
import sys

subprocess.run(["modprobe", "-a", "loop", "dm-mod", "dm-flakey", "dm-thin-pool"], check=True)
os.execv(sys.executable, [sys.executable, os.path.join(os.path.dirname(__file__), "../e2e/dm.py")])
