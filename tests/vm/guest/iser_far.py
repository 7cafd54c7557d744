# SPDX-License-Identifier: BSD-3-Clause
"""The gateway's host of iser_two.py: does what the other guest asks for, and ends when told to."""
import threading
import time
import xmlrpc.server

import _initiator as ini
import _iser
import _rdma

MIB = 1 << 20
AGENT = 8000


class Agent:
    def __init__(self, lab):
        self.lab = lab
        self.over = False
        self.gone = 0

    def iqn(self, tid):
        return self.lab.iqn(tid)

    def kill(self):
        self.lab.gateway.kill()
        time.sleep(1)
        self.lab.start()
        return True

    def sessions(self):
        return len(_iser.sessions(self.lab))

    def log(self):
        """The gateway's last lines."""
        with open(self.lab.gateway.log, encoding="utf-8", errors="replace") as f:
            return "".join(line for line in f.readlines()[-400:] if "a turn took too long" not in line)

    def resources(self):
        return _rdma.resources()

    def watch(self):
        """Notes when the last session has gone: who asks may be cut off at that time."""
        def wait():
            while self.sessions():
                time.sleep(1)
            self.gone = time.monotonic() - began
        self.gone, began = 0, time.monotonic()
        threading.Thread(target=wait, daemon=True).start()
        return True

    def when_gone(self):
        return self.gone

    def end(self):
        self.over = True
        return True


ini.sh("modprobe", "virtio_net")
with _iser.gateway(net="eth0") as lab_:
    for t in (1, 2):
        _iser.add(lab_, t, 128 * MIB)
    lab_.op("target", "update", "--tid", 2, "--name", "nop_interval", "--value", 2)
    agent = Agent(lab_)
    with xmlrpc.server.SimpleXMLRPCServer((_rdma.ADDRESS, AGENT), logRequests=False, allow_none=True) as server:
        server.register_instance(agent)
        while not agent.over:
            server.handle_request()
