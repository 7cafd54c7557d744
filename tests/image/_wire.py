# SPDX-License-Identifier: BSD-3-Clause
"""
The other end of an appliance's cable, as a stranger on it: Ethernet frames by hand, so that each port can be knocked at
and each answer is seen, a refusal too.
"""
import select
import socket
import struct
import time

MAC = bytes.fromhex("525400feed01")
EVERYBODY = b"\xff" * 6
OURS, THEIRS = "10.77.0.2", "10.77.0.1"
IPV4, ARP = 0x0800, 0x0806
ICMP, TCP, UDP = 1, 6, 17
SYN, RST, ACK = 2, 4, 16
FROM_PORT = 40000
# Between two pings; the kernel's queue of received packets is longer.
AT_ONCE = 1024
PING_SECS = 60


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Wire:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.rest = b""
        self.peer = EVERYBODY
        self.pings = 0
        self.ponged = set()
        # (protocol, what it said): open and closed TCP ports, and any other packet.
        self.open, self.refused, self.other = set(), set(), []

    def close(self):
        self.sock.close()

    def frame(self, kind, payload):
        data = self.peer + MAC + struct.pack("!H", kind) + payload
        self.sock.sendall(struct.pack("!I", len(data)) + data)

    def packet(self, protocol, payload):
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0,
                           socket.inet_aton(OURS), socket.inet_aton(THEIRS))
        self.frame(IPV4, head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload)

    def pseudo(self, protocol, payload):
        return socket.inet_aton(OURS) + socket.inet_aton(THEIRS) + struct.pack("!BBH", 0, protocol, len(payload)) + payload

    def tcp(self, port, flags, seq=1):
        segment = struct.pack("!HHIIBBHHH", FROM_PORT, port, seq, 0, 5 << 4, flags, 1024, 0, 0)
        self.packet(TCP, segment[:16] + struct.pack("!H", checksum(self.pseudo(TCP, segment))) + segment[18:])

    def udp(self, port, payload=b"anybody there?"):
        datagram = struct.pack("!HHHH", FROM_PORT, port, 8 + len(payload), 0) + payload
        self.packet(UDP, datagram[:6] + struct.pack("!H", checksum(self.pseudo(UDP, datagram))) + datagram[8:])

    def arp(self, op):
        self.frame(ARP, struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, op, MAC, socket.inet_aton(OURS), self.peer,
                                    socket.inet_aton(THEIRS)))

    def listen(self, secs):
        """Takes in what comes within that time, or at once if there is something."""
        if select.select([self.sock], [], [], secs)[0]:
            data = self.sock.recv(1 << 20)
            if not data:
                raise AssertionError("the machine has gone")
            self.rest += data
        while len(self.rest) >= 4 and len(self.rest) >= 4 + struct.unpack("!I", self.rest[:4])[0]:
            end = 4 + struct.unpack("!I", self.rest[:4])[0]
            self.take(self.rest[4:end])
            self.rest = self.rest[end:]

    def take(self, frame):
        kind, = struct.unpack("!H", frame[12:14])
        body = frame[14:]
        if kind == ARP and body[24:28] == socket.inet_aton(OURS):
            self.peer = frame[6:12]
            if body[7] == 1:
                self.arp(2)
        elif kind == IPV4 and body[16:20] == socket.inet_aton(OURS):
            self.take_ip(body[9], body[(body[0] & 15) * 4:struct.unpack("!H", body[2:4])[0]])

    def take_ip(self, protocol, payload):
        if protocol == ICMP and payload[0] == 0:
            self.ponged.add(struct.unpack("!H", payload[6:8])[0])
        elif protocol == TCP:
            port, flags, ack = struct.unpack("!H", payload[:2])[0], payload[13], struct.unpack("!I", payload[8:12])[0]
            if flags & RST:
                self.refused.add(port)
            else:
                self.open.add(port)
                self.tcp(port, RST, ack)
        else:
            self.other.append((protocol, payload[:32].hex()))

    def ping(self, secs=PING_SECS):
        """Whatever was sent before has been looked at when this returns: packets of one queue stay in their order."""
        self.pings += 1
        end = time.monotonic() + secs
        while self.pings not in self.ponged:
            if time.monotonic() > end:
                raise AssertionError(f"no answer to a ping within {secs} s")
            if self.peer == EVERYBODY:
                self.arp(1)
            echo = struct.pack("!BBHHH", 8, 0, 0, 1, self.pings)
            self.packet(ICMP, echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:])
            again = time.monotonic() + 2
            while self.pings not in self.ponged and time.monotonic() < again:
                self.listen(0.2)

    def knock(self, ports):
        """The TCP ports of these that answer, and those that refuse; the others are silent."""
        self.open, self.refused, self.other = set(), set(), []
        ports = list(ports)
        for at in range(0, len(ports), AT_ONCE):
            for port in ports[at:at + AT_ONCE]:
                self.tcp(port, SYN)
            self.ping()
        self.ping()
        return sorted(self.open), sorted(self.refused)
