# SPDX-License-Identifier: BSD-3-Clause
"""Writes numbered blocks to a disk until it is told to stop, then reads all of them back. No page cache between."""
import mmap
import os
import threading

BLOCK = 4096


class Writer:
    def __init__(self, device, blocks=512):
        self.fd = os.open(device, os.O_RDWR | os.O_DIRECT)
        self.buf = mmap.mmap(-1, BLOCK)
        self.blocks, self.last = blocks, {}
        self.count, self.error, self.stopping = 0, None, False
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    @staticmethod
    def _content(count):
        return count.to_bytes(8, "little") * (BLOCK // 8)

    def _work(self):
        try:
            while not self.stopping:
                self.count += 1
                at = self.count * 7 % self.blocks
                self.buf[:] = self._content(self.count)
                if os.pwritev(self.fd, [self.buf], at * BLOCK) != BLOCK:
                    raise OSError("a short write")
                self.last[at] = self.count
            os.fsync(self.fd)
        except OSError as e:
            self.error = e

    def end(self):
        """How many blocks were written; an error of any, or another content than the last one, is raised."""
        self.stopping = True
        self.thread.join()
        if self.error:
            raise self.error
        for at, count in self.last.items():
            os.preadv(self.fd, [self.buf], at * BLOCK)
            if self.buf[:] != self._content(count):
                raise AssertionError(f"block {at} is not what was written last ({count})")
        os.close(self.fd)
        return self.count
