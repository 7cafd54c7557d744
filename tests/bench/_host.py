# SPDX-License-Identifier: BSD-3-Clause
"""The machine around a guest: tells the guest, over a serial port, what CPU time its emulation has taken."""
import fcntl
import os
import socket
import threading

import _guest


class Host:
    """Answers the guest: CPU time that its vCPUs, and the emulator's other threads, have taken from this machine."""

    def __init__(self, lock, cpus):
        self.path, self.cpus = None, cpus
        self.file = open(lock, "a", encoding="ascii") if lock else None  # pylint: disable=consider-using-with
        self.lock(fcntl.LOCK_SH)

    def lock(self, how):
        if self.file:
            fcntl.flock(self.file, how)

    def hardware(self, work):
        self.path = os.path.join(work, "host")
        # The model that QEMU's "max" names is woken from its idle state by a device that is slow to emulate.
        cpu = [] if _guest.accel() == "kvm" else ["-cpu", "max,vendor=GenuineIntel,family=6,model=94,stepping=3"]
        return [*cpu, "-smp", str(self.cpus), "-chardev", f"socket,id=host,path={self.path},server=on,wait=off",
                "-serial", "chardev:host"]

    def start(self, monitor):
        vcpus = {v["thread-id"] for v in monitor("query-cpus-fast")}
        threading.Thread(target=self.serve, args=(vcpus,), daemon=True).start()

    @staticmethod
    def sample(vcpus):
        """Seconds that the vCPUs ran, that they would have but for others on this machine, and the emulator's rest."""
        ran, waited, rest = 0, 0, 0
        folder = f"/proc/{min(vcpus)}/task"
        for tid in map(int, os.listdir(folder)):
            with open(f"{folder}/{tid}/schedstat", encoding="ascii") as f:
                on, off = (int(ns) / 1e9 for ns in f.read().split()[:2])
            if tid in vcpus:
                ran, waited = ran + on, waited + off
            else:
                rest += on
        return [ran, waited, rest]

    def serve(self, vcpus):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            wanted = b"?"
            while wanted:
                if wanted != b"?":
                    self.lock(fcntl.LOCK_EX if wanted == b"(" else fcntl.LOCK_SH)
                s.sendall((" ".join(map(str, self.sample(vcpus))) + "\n").encode())
                wanted = s.recv(1)
