# SPDX-License-Identifier: BSD-3-Clause
"""The least of an iSCSI initiator (RFC 7143) that the self-test needs: one session, one command at a time, 4 KiB of data."""
import socket
import struct

SCSI_COMMAND, LOGIN_REQUEST, LOGOUT_REQUEST, NOP_OUT = 0x01, 0x03, 0x06, 0x00
NOP_IN, SCSI_RESPONSE, LOGIN_RESPONSE, DATA_IN = 0x20, 0x21, 0x23, 0x25
IMMEDIATE, FINAL, READ, WRITE, SIMPLE = 0x40, 0x80, 0x40, 0x20, 1
STATUS_THERE = 0x01
NO_TAG = 0xFFFFFFFF
CHECK_CONDITION, RESERVATION_CONFLICT = 0x02, 0x18
UNIT_ATTENTION = 6
SECS = 30


class Failed(Exception):
    """The target did something else than an initiator expects."""


class Status(Failed):
    """A command ended in a status other than GOOD."""

    def __init__(self, status, sense_key):
        super().__init__(f"SCSI status {status:#x}" + (f", sense key {sense_key:#x}" if sense_key else ""))
        self.status, self.sense_key = status, sense_key


class Session:
    def __init__(self, address, target, name, port_id=1):
        """port_id: sessions with different ones are different initiator ports to the target."""
        self.cmdsn, self.statsn, self.tag = 1, 0, 0
        self.sock = socket.create_connection(address, SECS)
        try:
            self.login(target, name, port_id)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if not kind:
            head = bytearray(48)
            head[:2] = LOGOUT_REQUEST | IMMEDIATE, FINAL
            struct.pack_into(">IIII", head, 16, self.next_tag(), 0, self.cmdsn, self.statsn)
            self.sock.sendall(head)
            # The target closes the connection when it has answered.
            while self.sock.recv(4096):
                pass
        self.sock.close()

    def next_tag(self):
        self.tag += 1
        return self.tag

    def exactly(self, size):
        got = b""
        while len(got) < size:
            more = self.sock.recv(size - len(got))
            if not more:
                raise Failed("the gateway closed the connection")
            got += more
        return got

    def receive(self):
        """The next PDU's header and data; the target's pings are answered on the way."""
        while True:
            head = self.exactly(48)
            size = int.from_bytes(head[5:8], "big")
            data = self.exactly(head[4] * 4 + size + -size % 4)[head[4] * 4:][:size]
            opcode = head[0] & 0x3F
            if opcode != DATA_IN or head[1] & STATUS_THERE:
                self.statsn = struct.unpack_from(">I", head, 24)[0] + 1 & NO_TAG
            if opcode != NOP_IN:
                return head, data
            answer = bytearray(48)
            answer[:2] = NOP_OUT | IMMEDIATE, FINAL
            answer[8:16], answer[20:24] = head[8:16], head[20:24]
            struct.pack_into(">I", answer, 16, NO_TAG)
            struct.pack_into(">II", answer, 24, self.cmdsn, self.statsn)
            if head[20:24] != b"\xff" * 4:
                self.sock.sendall(answer)

    def send(self, head, data):
        head[5:8] = len(data).to_bytes(3, "big")
        self.sock.sendall(bytes(head) + data + bytes(-len(data) % 4))

    def login(self, target, name, port_id):
        keys = (f"InitiatorName={name}", f"TargetName={target}", "SessionType=Normal", "HeaderDigest=None",
                "DataDigest=None", "ImmediateData=Yes", "InitialR2T=Yes", "MaxRecvDataSegmentLength=65536")
        head = bytearray(48)
        # Operational negotiation, and on to full feature phase.
        head[:2] = LOGIN_REQUEST | IMMEDIATE, FINAL | 1 << 2 | 3
        head[8:14] = b"\x80\0\0\0" + port_id.to_bytes(2, "big")
        struct.pack_into(">III", head, 16, self.next_tag(), 0, self.cmdsn)
        self.send(head, b"".join(key.encode() + b"\0" for key in keys))
        head, _ = self.receive()
        if head[0] & 0x3F != LOGIN_RESPONSE or head[36:38] != b"\0\0":
            raise Failed(f"the login was refused (status {head[36:38].hex()})")
        if head[1] & 0x83 != 0x83:
            raise Failed("the login was not brought to its end")

    def command(self, cdb, data=b"", expect=0, lun=1):
        """Carries out a command, with data to write or so much to read; returns what was read."""
        for _ in range(5):
            try:
                return self.once(cdb, data, expect, lun)
            except Status as said:
                # What happened before this session is told once.
                if said.sense_key != UNIT_ATTENTION:
                    raise
        raise Failed("unit attentions have no end")

    def once(self, cdb, data, expect, lun):
        head = bytearray(48)
        head[:2] = SCSI_COMMAND, FINAL | SIMPLE | (READ if expect else 0) | (WRITE if data else 0)
        head[8:10] = lun.to_bytes(2, "big")
        struct.pack_into(">IIII", head, 16, self.next_tag(), len(data) or expect, self.cmdsn, self.statsn)
        head[32:32 + len(cdb)] = cdb
        self.cmdsn = self.cmdsn + 1 & NO_TAG
        self.send(head, data)
        got = b""
        while True:
            head, more = self.receive()
            opcode = head[0] & 0x3F
            if opcode == DATA_IN:
                got += more
                if not head[1] & STATUS_THERE:
                    continue
            elif opcode != SCSI_RESPONSE or head[2]:
                raise Failed(f"a command was answered by PDU {opcode:#x}")
            if head[3]:
                # Sense data: two bytes of length, then the fixed format.
                raise Status(head[3], more[4] & 15 if opcode == SCSI_RESPONSE and len(more) > 4 else 0)
            return got
