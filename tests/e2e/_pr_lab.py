# SPDX-License-Identifier: BSD-3-Clause
"""Persistent reservations as two nodes with two paths each speak them: raw commands over sessions of chosen names."""
import os
import socket
import struct
import sys

import _path  # noqa: F401
from lab import READY_SECS, Lab, free_port, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../proto"))
from _initiator import DATA_IN, R2T, Closed, Initiator  # noqa: E402,F401

GOOD, CHECK, BUSY, CONFLICT = 0, 2, 8, 0x18
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE, MOVE = range(8)
KEYS, RESERVATION, CAPABILITIES, FULL_STATUS = range(4)
WE, EA, WE_RO, EA_RO, WE_AR, EA_AR = 1, 3, 5, 6, 7, 8
RES_PREEMPTED, RES_RELEASED, REG_PREEMPTED = (6, 0x2A03), (6, 0x2A04), (6, 0x2A05)
BLOCK = 512


class Path:
    """One session of one initiator port; it can be lost and come back under its name."""

    def __init__(self, addr, target, node, isid):
        self.addr, self.target = addr, target
        self.name, self.isid = f"iqn.2026-11.org.example:node-{node}", isid
        self.ini = None
        self.login()

    def login(self):
        self.ini = Initiator(self.addr, name=self.name)
        self.ini.isid = self.isid
        rsp = self.ini.login(self.target)
        assert rsp.bhs[36:38] == b"\0\0", f"login refused: {rsp.bhs[36:38].hex()}"
        self.calm()

    def logout(self):
        self.ini.logout()
        self.ini.recv()
        self.ini.close()

    def calm(self, lun=1):
        """Takes the unit attentions; what TEST UNIT READY says then."""
        for _ in range(8):
            r = self.cmd(bytes(6), lun=lun)
            if not isinstance(r, tuple) or r[0] != 6:
                return r
        raise AssertionError("no end of unit attentions")

    def run(self, cdb, read=0, data=b"", lun=1):
        """(status or (key, asc/ascq), data in)"""
        i, got = self.ini, bytearray()
        itt = i.command(cdb, read=read, write=len(data), lun=lun)
        while True:
            pdu = i.recv()
            if pdu.opcode == R2T:
                i.data_out(itt, pdu.ttt, 0, pdu.offset, data[pdu.offset:pdu.offset + pdu.length], lun=lun)
            elif pdu.opcode == DATA_IN:
                got += pdu.data
                if pdu.flags & 1:
                    return pdu.status, bytes(got)
            else:
                return (pdu.sense() if pdu.status == CHECK else pdu.status), bytes(got)

    def cmd(self, cdb, **kw):
        return self.run(cdb, **kw)[0]

    # Reservations

    def pr_out(self, action, key=0, sakey=0, kind=0, bits=0, lun=1, ids=b""):
        param = struct.pack(">QQ4xBxxx", key, sakey, bits)
        if ids:
            param += struct.pack(">I", len(ids)) + ids
        return self.cmd(struct.pack(">BBBxxIx", 0x5F, action, kind, len(param)), data=param, lun=lun)

    def register(self, sakey, key=0, **kw):
        return self.pr_out(REGISTER, key, sakey, **kw)

    def register_ignore(self, sakey, **kw):
        return self.pr_out(REGISTER_IGNORE, 0, sakey, **kw)

    def pr_in(self, action, length=8192, lun=1):
        status, data = self.run(struct.pack(">BB5xHx", 0x5E, action, length), read=length, lun=lun)
        assert status == GOOD, status
        return data

    def generation(self):
        return struct.unpack(">I", self.pr_in(KEYS)[:4])[0]

    def keys(self, lun=1):
        data = self.pr_in(KEYS, lun=lun)
        n = struct.unpack(">I", data[4:8])[0]
        assert len(data) == 8 + n
        return sorted(struct.unpack(f">{n // 8}Q", data[8:]))

    def reservation(self):
        """(key, type), None if there is none."""
        data = self.pr_in(RESERVATION)
        if len(data) == 8:
            return None
        assert len(data) == 24 and data[4:8] == b"\0\0\0\x10", data.hex()
        return struct.unpack(">Q", data[8:16])[0], data[21] & 15

    def full_status(self):
        """{(initiator, isid in hex, target port): (key, holder)}"""
        data, found = self.pr_in(FULL_STATUS), {}
        at = 8
        while at < len(data):
            key, flags, port, n = struct.unpack(">Q4xBx4xHI", data[at:at + 24])
            tid = data[at + 24:at + 24 + n]
            assert tid[0] == 0x45 and struct.unpack(">H", tid[2:4])[0] == n - 4
            name, isid = tid[4:].rstrip(b"\0").decode().split(",i,0x")
            found[name, isid, port] = key, bool(flags & 1)
            at += 24 + n
        return found

    # The medium

    def write(self, byte=0x77, lba=0, lun=1):
        return self.cmd(struct.pack(">BBIBHB", 0x2A, 0, lba, 0, 1, 0), data=bytes((byte,)) * BLOCK, lun=lun)

    def read(self, lba=0, lun=1):
        """The first byte of the block, or the status."""
        status, data = self.run(struct.pack(">BBIBHB", 0x28, 0, lba, 0, 1, 0), read=BLOCK, lun=lun)
        return data[0] if status == GOOD else status


class Cluster(Lab):
    """LUN 1 behind two portals in groups of their own; paths a1, a2, b1, b2: node and portal."""

    def __enter__(self):
        super().__enter__()
        self.port2 = free_port()
        self.op("portal", "new", "--param", f"portal=127.0.0.1:{self.port2},tpgt=2")
        self.target(1)
        self.disk = self.file("disk", "16M")
        self.lun(1, 1, self.disk)
        self.op("logicalunit", "update", "--tid", 1, "--lun", 1, "--params", "thin_provisioning=1")
        self.paths = {}
        return self

    def __exit__(self, *exc):
        self.leave()
        super().__exit__(*exc)

    def wait_ready(self):
        super().wait_ready()
        # A socket of the one before may have been in the way.
        if hasattr(self, "port2"):
            wait_for(lambda: listens(self.port2), READY_SECS, "the second portal listens")

    def path_to(self, node, portal):
        addr = ("127.0.0.1", (self.port, self.port2)[portal - 1])
        return Path(addr, self.iqn(), node, bytes((0x80, 0x12, 0x34, 0, 0, portal)))

    def join(self):
        """All four, as after a boot of both nodes; nobody is registered."""
        self.leave()
        for node in "ab":
            for portal in (1, 2):
                self.paths[node + str(portal)] = self.path_to(node, portal)
        a1, a2, b1, b2 = (self.paths[p] for p in ("a1", "a2", "b1", "b2"))
        assert a1.register_ignore(99) == GOOD and a1.pr_out(CLEAR, 99) == GOOD
        for p in self.paths.values():
            p.calm()
        return a1, a2, b1, b2

    def leave(self):
        for p in self.paths.values() if hasattr(self, "paths") else ():
            p.ini.close()
        self.paths = {}

    def crash(self):
        """The gateway, with all sessions; then it is there again, and the nodes come back."""
        self.gateway.kill()
        for p in self.paths.values():
            p.ini.close()
        self.start()
        for p in self.paths.values():
            p.login()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def transport_id(path):
    name = f"{path.name},i,0x{path.isid.hex()}".encode() + b"\0"
    name += bytes(-len(name) % 4)
    return struct.pack(">BBH", 0x45, 0, len(name)) + name
