# SPDX-License-Identifier: BSD-3-Clause
"""Runs in the second guest of pair.py: open-iscsi at the other end of the appliance's cable, told by the test what to do."""
import mmap
import os
import socketserver
import subprocess
import threading
import xmlrpc.server

import _initiator as ini
import _iser
import _rdma
from tap import need

NET, ADDRESS, FAR_ADDRESS, FAR_MAC = "eth0", "10.0.0.1", "10.0.0.2", "52:54:00:00:00:02"
# QEMU's own network, for the test.
TEST_NET, TEST_ADDRESS, AGENT = "eth1", "10.0.2.15/24", 8000
BLOCK = 4096
FIO_SECS = 3600
# Longer than an emulated machine takes to boot. Six times a disk's timeout after a command began Linux gives it up when its
# answer, a unit attention, asks for another try; and ib_iser of Linux 6.1 does not survive one that is aborted meanwhile.
PATIENCE = 14400


class Numbers:
    """Writes block after block, each with its number, and flushes each before it goes on to the next."""

    def __init__(self, disk):
        self.flushed, self.error, self.ended = 0, "", False
        self.fd = os.open(disk, os.O_RDWR | os.O_DIRECT)
        self.most = os.lseek(self.fd, 0, os.SEEK_END) // BLOCK
        # O_DIRECT wants pages.
        self.page = mmap.mmap(-1, BLOCK)
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    @staticmethod
    def block(n):
        return (n + 1).to_bytes(8, "little") * (BLOCK // 8)

    def work(self):
        try:
            while not self.ended and self.flushed < self.most:
                self.page[:] = self.block(self.flushed)
                need(os.pwrite(self.fd, self.page, self.flushed * BLOCK) == BLOCK, "a short write")
                os.fsync(self.fd)
                self.flushed += 1
        except (OSError, AssertionError) as e:
            self.error = str(e) or repr(e)

    def end(self):
        self.ended = True
        self.thread.join()

    def lacking(self, n):
        """Which of the first n are not on the disk."""
        with mmap.mmap(-1, BLOCK) as page:
            return [i for i in range(n) if os.preadv(self.fd, [page], i * BLOCK) != BLOCK or page[:] != self.block(i)]


class Fio:
    """Verified writes, round after round."""

    def __init__(self, disk):
        self.rounds, self.error, self.ended = 0, "", False
        self.disk = disk
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.ended and not self.error:
            p = subprocess.run([*_iser.FIO, "--name=v", "--rw=randwrite", f"--filename={self.disk}", "--size=2m", "--bs=4k",
                                "--iodepth=8", "--rate_iops=100"], env=ini.ENV, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            self.error = p.stdout if p.returncode else ""
            self.rounds += not p.returncode

    def end(self):
        self.ended = True
        self.thread.join()


class Agent:
    """What the test may call."""

    def __init__(self):
        self.numbers, self.fios, self.discovered = {}, {}, set()
        self.over = threading.Event()

    def sh(self, *argv):
        return ini.sh(*argv, check=False)

    def attach(self, iqn, iface, user, password):
        """Logs in, with patience, unless it is logged in; the disk."""
        if ini.disk_of(iqn, iface):
            return ini.disk_of(iqn, iface)
        if iface not in self.discovered:
            # Or what was found by the other way would be forgotten.
            ini.discover(FAR_ADDRESS, iface, "-o", "new")
            self.discovered.add(iface)
        ini.settings(iqn, FAR_ADDRESS, {
            "node.session.auth.authmethod": "CHAP", "node.session.auth.username": user,
            "node.session.auth.password": password, "node.session.timeo.replacement_timeout": PATIENCE}, iface)
        disk = ini.login(iqn, FAR_ADDRESS, iface)
        with open(f"/sys/block/{os.path.basename(disk)}/device/timeout", "w", encoding="ascii") as f:
            f.write(str(PATIENCE))
        return disk

    def detach(self, iqn, iface):
        ini.logout(iqn, FAR_ADDRESS, iface)

    def fio(self, disk, *args):
        return _iser.fio(disk, *args, secs=FIO_SECS)

    def numbers_start(self, disk):
        self.numbers[disk] = Numbers(disk)

    def numbers_flushed(self, disk):
        """(how many, the error that it ended with)"""
        return self.numbers[disk].flushed, self.numbers[disk].error

    def numbers_lacking(self, disk, n):
        return self.numbers[disk].lacking(n)

    def numbers_end(self, disk):
        self.numbers[disk].end()

    def fio_start(self, disk):
        self.fios[disk] = Fio(disk)

    def fio_rounds(self, disk):
        return self.fios[disk].rounds, self.fios[disk].error

    def fio_end(self, disk):
        self.fios[disk].end()

    def end(self):
        self.over.set()


class Server(socketserver.ThreadingMixIn, xmlrpc.server.SimpleXMLRPCServer):
    daemon_threads = True


ini.start(_iser.MODULE, ["virtio_net"])
_rdma.link(NET, ADDRESS)
# When Linux loses its neighbour it ends ib_iser's connection behind the back of iSCSI, and I/O fails at once.
ini.sh("ip", "neigh", "replace", FAR_ADDRESS, "lladdr", FAR_MAC, "nud", "permanent", "dev", NET)
ini.sh("ip", "addr", "add", TEST_ADDRESS, "dev", TEST_NET)
ini.sh("ip", "link", "set", TEST_NET, "up")
server = Server(("0.0.0.0", AGENT), allow_none=True, logRequests=False)
agent = Agent()
server.register_instance(agent)
threading.Thread(target=server.serve_forever, daemon=True).start()
agent.over.wait()
