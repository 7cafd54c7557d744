# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's initiator on the host, at work through the forwarded port until the first error."""
import re
import subprocess
import threading
import time

from _appliance import BOOT_SECS, wait_for
from tap import need

BLOCK = 4096
BLOCKS = 1000
PAUSE = 0.2
# What the driver below says of reconnecting and trying again is none.
ERROR = re.compile(r"(write|read|verification) failed")


class Writer:
    """
    Writes a block through to the disk, reads it back, and so on. Nothing that the appliance does in the meantime may be
    more than a pause: an error that reaches qemu-io ends it, and so do bytes that are not those that were written.
    """

    def __init__(self, url):
        self.rounds, self.longest, self.wrong, self.ended = 0, 0.0, "", False
        self.held = {}
        self.proc = subprocess.Popen(["qemu-io", "-f", "raw", "-t", "none", url], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def order(self, command):
        """What qemu-io says comes before the numbers; of a command that failed there are none."""
        self.proc.stdin.write(command + "\n")
        self.proc.stdin.flush()
        said = ""
        while "ops/sec" not in said:
            line = self.proc.stdout.readline()
            said += line
            if not line or ERROR.search(line):
                raise AssertionError(f"{command}: {said}")

    def round(self):
        byte, at = self.rounds % 255 + 1, self.rounds % BLOCKS * BLOCK
        begun = time.monotonic()
        self.order(f"write -f -P {byte} {at} {BLOCK}")
        self.held[at] = byte
        self.order(f"read -P {byte} {at} {BLOCK}")
        self.longest = max(self.longest, time.monotonic() - begun)
        self.rounds += 1

    def work(self):
        try:
            while not self.ended:
                self.round()
                time.sleep(PAUSE)
            for at, byte in self.held.items():
                self.order(f"read -P {byte} {at} {BLOCK}")
        except (AssertionError, OSError) as e:
            self.wrong = self.wrong or str(e)

    def goes_on(self, what, secs=BOOT_SECS):
        """Three rounds more."""
        enough = self.rounds + 3
        wait_for(lambda: self.wrong or self.rounds >= enough, secs, f"the initiator goes on {what}")
        need(not self.wrong, f"the initiator got an error {what}: {self.wrong}")

    def end(self, secs=BOOT_SECS):
        """Reads everything again that it ever wrote."""
        self.ended = True
        self.thread.join(secs)
        need(not self.thread.is_alive(), "the initiator does not come to an end")
        need(not self.wrong, f"the initiator got an error: {self.wrong}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.ended = True
        self.proc.kill()
        self.proc.wait()
        self.thread.join()
