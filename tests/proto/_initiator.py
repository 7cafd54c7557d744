# SPDX-License-Identifier: BSD-3-Clause
"""A raw iSCSI initiator: every field of every PDU is the test's to choose, legal or not.

Numbers and offsets are those of RFC 7143 11. Nothing is checked for the caller; what the target sends
comes back as Pdu objects.
"""
import socket
import struct

NOP_OUT, SCSI_CMD, TMF_REQ, LOGIN_REQ, TEXT_REQ, DATA_OUT, LOGOUT_REQ, SNACK = 0, 1, 2, 3, 4, 5, 6, 0x10
NOP_IN, SCSI_RSP, TMF_RSP, LOGIN_RSP, TEXT_RSP, DATA_IN, LOGOUT_RSP = range(0x20, 0x27)
R2T, ASYNC, REJECT = 0x31, 0x32, 0x3F
IMMEDIATE = 0x40
NONE = 0xFFFFFFFF

CRC_TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    CRC_TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def pad(data):
    return data + bytes(-len(data) % 4)


def keys(*pairs):
    return b"".join(p.encode() + b"\0" for p in pairs)


class Closed(Exception):
    """The target has closed the connection."""


class Pdu:
    def __init__(self, bhs, data):
        self.bhs, self.data = bhs, data
        self.opcode = bhs[0] & 0x3F
        self.flags = bhs[1]
        self.response, self.status = bhs[2], bhs[3]
        self.itt, self.ttt = struct.unpack(">II", bhs[16:24])
        self.statsn, self.expcmdsn, self.maxcmdsn = struct.unpack(">III", bhs[24:36])
        self.datasn, self.offset, self.length = struct.unpack(">III", bhs[36:48])
        self.residual = self.length

    def text(self):
        return dict(kv.split("=", 1) for kv in self.data.decode().rstrip("\0").split("\0") if "=" in kv)

    def sense(self):
        """(key, asc << 8 | ascq) of the sense data, fixed or descriptor format."""
        s = self.data[2:]
        if not s:
            return None
        if s[0] & 0x7F in (0x72, 0x73):
            return s[1] & 15, s[2] << 8 | s[3]
        return s[2] & 15, s[12] << 8 | s[13]


class Initiator:
    def __init__(self, addr, name="iqn.2026-11.test:raw", timeout=10, narrow=False):
        """narrow: little fits into the sockets of either side."""
        family = socket.AF_INET6 if ":" in addr[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if narrow:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(addr)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transmit = self.sock.sendall
        self.name = name
        self.cmdsn, self.expstatsn, self.itt = 1, 0, 0x100
        self.hdigest = self.ddigest = False
        self.isid = b"\x80\x12\x34\x56\x00\x01"
        self.tsih = 0

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # -- bytes ------------------------------------------------------------------------------------

    def send(self, bhs, data=b"", ahs=b"", bad_hdigest=False, bad_ddigest=False, dsl=None):
        bhs = bytearray(bhs)
        bhs[4] = len(ahs) // 4
        bhs[5:8] = struct.pack(">I", len(data) if dsl is None else dsl)[1:]
        head = bytes(bhs) + ahs
        if self.hdigest:
            head += b"\1\2\3\4" if bad_hdigest else crc32c(head)
        body = pad(data)
        if self.ddigest and data:
            body += b"\1\2\3\4" if bad_ddigest else crc32c(body)
        self.transmit(head + body)

    def read(self, n):
        out = b""
        while len(out) < n:
            try:
                got = self.sock.recv(n - len(out))
            except ConnectionError as e:
                raise Closed from e
            if not got:
                raise Closed
            out += got
        return out

    def recv(self):
        """The next PDU but NOP-Ins that ask for an answer, which are answered."""
        while True:
            bhs = self.read(48)
            ahs = self.read(bhs[4] * 4)
            if self.hdigest:
                assert self.read(4) == crc32c(bhs + ahs), "header digest of the target is wrong"
            n = int.from_bytes(bhs[5:8], "big")
            data = self.read(n + (-n % 4))
            if self.ddigest and n:
                assert self.read(4) == crc32c(data), "data digest of the target is wrong"
            pdu = Pdu(bhs, data[:n])
            if pdu.opcode not in (R2T, DATA_IN) or (pdu.opcode == DATA_IN and pdu.flags & 1):
                self.expstatsn = (pdu.statsn + 1) & NONE
            if pdu.opcode == NOP_IN and pdu.ttt != NONE:
                self.nop(itt=NONE, ttt=pdu.ttt, lun=bhs[8:16])
                continue
            return pdu

    def closed(self):
        """True once the target has closed; what it sent before is thrown away."""
        try:
            while True:
                self.recv()
        except Closed:
            return True
        except (TimeoutError, socket.timeout):
            return False

    # -- requests ---------------------------------------------------------------------------------

    def bhs(self, opcode, flags=0x80, lun=bytes(8), itt=None, w20=0, cmdsn=None, tail=bytes(16)):
        if itt is None:
            self.itt += 1
            itt = self.itt
        if cmdsn is None:
            cmdsn = self.cmdsn
            if not opcode & IMMEDIATE and opcode & 0x3F != DATA_OUT:
                self.cmdsn = (self.cmdsn + 1) & NONE
        return (bytes((opcode, flags, 0, 0)) + bytes(4) + lun +
                struct.pack(">IIII", itt, w20, cmdsn, self.expstatsn) + tail)

    def login_pdu(self, text, csg=1, nsg=3, transit=True, cont=False, version=(0, 0), cid=0, itt=0x10):
        flags = (0x80 if transit else 0) | (0x40 if cont else 0) | csg << 2 | (nsg if transit else 0)
        head = bytes((LOGIN_REQ | IMMEDIATE, flags)) + bytes(version) + bytes(4) + self.isid
        head += struct.pack(">HIHHII", self.tsih, itt, cid, 0, self.cmdsn, self.expstatsn) + bytes(16)
        self.send(head, text)

    def login(self, target=None, *more, **kw):
        """Security stage without authentication is left out: one PDU, operational, transit."""
        text = ["InitiatorName=" + self.name]
        text += ["TargetName=" + target, "SessionType=Normal"] if target else ["SessionType=Discovery"]
        self.login_pdu(keys(*text, *more), **kw)
        pdu = self.recv()
        if pdu.opcode == LOGIN_RSP and pdu.bhs[36:38] == b"\0\0":
            self.tsih = int.from_bytes(pdu.bhs[14:16], "big")
            got = pdu.text()
            self.hdigest = got.get("HeaderDigest") == "CRC32C"
            self.ddigest = got.get("DataDigest") == "CRC32C"
        return pdu

    def command(self, cdb, read=0, write=0, data=b"", lun=1, final=True, itt=None, cmdsn=None, attr=1,
                opcode=SCSI_CMD, **kw):
        flags = (0x80 if final else 0) | (0x40 if read else 0) | (0x20 if write else 0) | attr
        cdb = bytes(cdb)
        bhs = self.bhs(opcode, flags, lun8(lun), itt, read or write, cmdsn, cdb[:16].ljust(16, b"\0"))
        self.send(bhs, data, **kw)
        return struct.unpack(">I", bhs[16:20])[0]

    def data_out(self, itt, ttt, datasn, offset, data, final=True, lun=1, **kw):
        tail = struct.pack(">IIII", 0, datasn, offset, 0)
        bhs = bytearray(self.bhs(DATA_OUT, 0x80 if final else 0, lun8(lun), itt, ttt, 0, tail))
        self.send(bhs, data, **kw)

    def tmf(self, function, lun=1, ref=NONE, refcmdsn=0, immediate=True):
        op = TMF_REQ | (IMMEDIATE if immediate else 0)
        self.send(self.bhs(op, 0x80 | function, lun8(lun), None, ref,
                           tail=struct.pack(">IIII", refcmdsn, 0, 0, 0)))
        return self.itt

    def nop(self, data=b"", itt=None, ttt=NONE, lun=bytes(8)):
        self.send(self.bhs(NOP_OUT | IMMEDIATE, 0x80, lun, itt, ttt), data)
        return self.itt

    def text(self, text, itt=None, ttt=NONE, flags=0x80):
        self.send(self.bhs(TEXT_REQ, flags, bytes(8), itt, ttt), text)
        return self.itt

    def logout(self, reason=0, cid=0):
        self.send(self.bhs(LOGOUT_REQ | IMMEDIATE, 0x80 | reason, bytes(8), None, cid << 16))
        return self.itt

    # -- whole exchanges --------------------------------------------------------------------------

    def finish(self, itt):
        """Data-In and R2Ts aside, the command's end: (Pdu, data read)."""
        data = bytearray()
        while True:
            pdu = self.recv()
            if pdu.itt != itt:
                continue
            if pdu.opcode == DATA_IN:
                assert pdu.offset == len(data), "Data-In out of order"
                data += pdu.data
                if pdu.flags & 1:
                    return pdu, bytes(data)
            else:
                return pdu, bytes(data)

    def read_blocks(self, lba, n, lun=1, bs=512):
        itt = self.command(read10(lba, n), read=n * bs, lun=lun)
        return self.finish(itt)

    def write_blocks(self, lba, data, lun=1, bs=512):
        """A write whose data is all asked for by R2Ts."""
        itt = self.command(write10(lba, len(data) // bs), write=len(data), lun=lun)
        while True:
            pdu = self.recv()
            if pdu.opcode != R2T:
                return pdu
            self.data_out(itt, pdu.ttt, 0, pdu.offset, data[pdu.offset:pdu.offset + pdu.length], lun=lun)


def lun8(lun):
    return struct.pack(">H", lun if lun < 256 else 0x4000 | lun) + bytes(6) if isinstance(lun, int) else lun


def read10(lba, n):
    return struct.pack(">BBIBHB", 0x28, 0, lba, 0, n, 0)


def write10(lba, n):
    return struct.pack(">BBIBHB", 0x2A, 0, lba, 0, n, 0)


TEST_UNIT_READY = bytes(6)
INQUIRY = bytes((0x12, 0, 0, 0, 96, 0))


def attach(addr, target, *more, **kw):
    """A session ready for commands: logged in, unit attentions taken."""
    ini = Initiator(addr, **kw)
    pdu = ini.login(target, *more)
    assert pdu.opcode == LOGIN_RSP and pdu.bhs[36:38] == b"\0\0", "login refused: " + pdu.bhs[36:38].hex()
    for _ in range(4):
        rsp, _ = ini.finish(ini.command(TEST_UNIT_READY))
        if rsp.status == 0:
            return ini
    raise AssertionError("the unit does not become ready: %s" % (rsp.sense(),))
