#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=180
"""The login phase seen from the wire: what is legal works, what is not harms nobody (RFC 7143 6)."""
import random
import socket
import time

from _initiator import (Closed, Initiator, LOGIN_RSP, NOP_OUT, SCSI_CMD, REJECT, TEXT_RSP, attach, keys,
                        read10)
from _suite import run


def status(pdu):
    return int.from_bytes(pdu.bhs[36:38], "big")


def test_normal_login(gw):
    with Initiator(gw.addr) as i:
        pdu = i.login(gw.target)
        assert status(pdu) == 0 and pdu.flags == 0x87, pdu.bhs.hex()
        assert i.tsih != 0
        assert pdu.text().get("TargetPortalGroupTag") == "1", pdu.text()


def test_two_stages(gw):
    with Initiator(gw.addr) as i:
        i.login_pdu(keys("InitiatorName=" + i.name, "TargetName=" + gw.target, "AuthMethod=CHAP,None"),
                    csg=0, nsg=1)
        pdu = i.recv()
        assert status(pdu) == 0 and pdu.flags == 0x81, pdu.bhs.hex()
        assert pdu.text()["AuthMethod"] == "None"
        i.login_pdu(keys("MaxRecvDataSegmentLength=65536", "InitialR2T=No", "ImmediateData=Yes"))
        pdu = i.recv()
        assert status(pdu) == 0 and pdu.flags == 0x87, pdu.bhs.hex()


def test_discovery(gw):
    with Initiator(gw.addr) as i:
        assert status(i.login()) == 0
        i.text(keys("SendTargets=All"))
        pdu = i.recv()
        assert pdu.opcode == TEXT_RSP and pdu.text()["TargetName"] == gw.target, pdu.data
        assert pdu.text()["TargetAddress"] == "%s:%d,1" % gw.addr, pdu.data


def test_discovery_session_takes_no_scsi(gw):
    with Initiator(gw.addr) as i:
        i.login()
        i.command(read10(0, 1), read=512)
        try:
            assert i.recv().opcode == REJECT
        except Closed:
            pass


def test_continued_keys(gw):
    """A key cut in two by the C bit (6.2) is put together; the target asks for the rest."""
    text = keys("InitiatorName=iqn.2026-11.test:raw", "TargetName=" + gw.target, "MaxBurstLength=131072")
    for cut in (1, 20, len(text) - 1):
        with Initiator(gw.addr) as i:
            i.login_pdu(text[:cut], transit=False, cont=True)
            pdu = i.recv()
            assert status(pdu) == 0 and pdu.flags & 0xC0 == 0 and not pdu.data, pdu.bhs.hex()
            i.login_pdu(text[cut:])
            pdu = i.recv()
            assert status(pdu) == 0 and pdu.text()["MaxBurstLength"] == "131072", pdu.bhs.hex()


def test_split_at_every_byte(gw):
    """TCP may cut a PDU anywhere."""
    text = keys("InitiatorName=iqn.2026-11.test:raw", "TargetName=" + gw.target, "SessionType=Normal")
    for step in (1, 7, 48, 49):
        with Initiator(gw.addr) as i:
            sent = bytearray()
            i.transmit = sent.extend
            i.login_pdu(text)
            i.transmit = i.sock.sendall
            for at in range(0, len(sent), step):
                i.sock.sendall(bytes(sent[at:at + step]))
            assert status(i.recv()) == 0


def refuse(gw, want, *text, **kw):
    with Initiator(gw.addr) as i:
        i.login_pdu(keys(*text), **kw)
        pdu = i.recv()
        assert pdu.opcode == LOGIN_RSP and status(pdu) == want, pdu.bhs.hex()
        assert i.closed(), "a refused login must end the connection"


def test_no_initiator_name(gw):
    refuse(gw, 0x0207, "TargetName=" + gw.target)


def test_no_target_name(gw):
    refuse(gw, 0x0207, "InitiatorName=iqn.2026-11.test:raw")


def test_unknown_target(gw):
    refuse(gw, 0x0203, "InitiatorName=iqn.2026-11.test:raw", "TargetName=iqn.2026-11.test:none")


def test_bad_version(gw):
    refuse(gw, 0x0205, "InitiatorName=iqn.2026-11.test:raw", "TargetName=" + gw.target, version=(9, 9))


def test_unknown_session(gw):
    with Initiator(gw.addr) as i:
        i.tsih = 0x7777
        assert status(i.login(gw.target)) == 0x020A


def test_duplicate_key(gw):
    refuse(gw, 0x0200, "InitiatorName=iqn.2026-11.test:raw", "TargetName=" + gw.target,
           "MaxBurstLength=65536", "MaxBurstLength=131072")


def test_reserved_stage(gw):
    with Initiator(gw.addr) as i:
        i.login_pdu(keys("InitiatorName=a.b", "TargetName=" + gw.target), csg=2)
        try:
            assert status(i.recv()) >> 8 == 2
        except Closed:
            pass


def test_unknown_keys_are_answered(gw):
    with Initiator(gw.addr) as i:
        pdu = i.login(gw.target, "X-com.example.thing=1", "Colour=blue")
        assert status(pdu) == 0 and pdu.text()["Colour"] == "NotUnderstood", pdu.text()


def test_thousands_of_tiny_keys(gw):
    """Each unknown key costs more to answer than to send; the answer must stay bounded."""
    with Initiator(gw.addr) as i:
        i.login_pdu(keys("InitiatorName=" + i.name, "TargetName=" + gw.target) + b"a=b\0" * 1900)
        try:
            while status(i.recv()) == 0:
                i.login_pdu(b"")
        except Closed:
            pass


def test_reinstatement(gw):
    """The same initiator port logs in again: the old session ends, the new one works (6.3.5)."""
    old = attach(gw.addr, gw.target)
    with attach(gw.addr, gw.target) as new:
        assert old.closed()
        rsp, _ = new.finish(new.command(bytes(6)))
        assert rsp.status == 0
    old.close()


def test_reinstatement_storm(gw):
    held = []
    for _ in range(100):
        i = Initiator(gw.addr)
        i.login(gw.target)
        held.append(i)
    with attach(gw.addr, gw.target) as last:
        assert all(i.closed() for i in held)
        assert last.finish(last.command(bytes(6)))[0].status == 0
    for i in held:
        i.close()


def test_other_isid_is_another_session(gw):
    with attach(gw.addr, gw.target) as one, Initiator(gw.addr) as two:
        two.isid = b"\x80\x12\x34\x56\x00\x02"
        assert status(two.login(gw.target)) == 0
        assert one.finish(one.command(bytes(6)))[0].status == 0


def hostile(gw, data):
    with socket.create_connection(gw.addr, 5) as s:
        try:
            s.sendall(data)
            s.settimeout(0.2)
            while s.recv(65536):
                pass
        except OSError:
            pass


def test_not_a_login_first(gw):
    for op in list(range(0x40)) + [SCSI_CMD | 0x40, NOP_OUT | 0x40]:
        if op & 0x3F != 3:
            hostile(gw, bytes((op, 0x80)) + bytes(46))


def test_other_protocols(gw):
    for text in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 4, b"\x16\x03\x01" + bytes(300), b"\0" * 4096,
                 b"\xff" * 4096, b"SSH-2.0-x\r\n"):
        hostile(gw, text)


def test_random_bytes(gw):
    rnd = random.Random(7)
    for n in range(150):
        data = bytearray(rnd.randbytes(48 + rnd.randrange(600)))
        if n % 2:
            data[0], data[4], data[5] = 0x43, 0, 0
        hostile(gw, bytes(data))


def test_huge_length(gw):
    for dsl in (0xFFFFFF, 8193, 0x800000):
        hostile(gw, bytes((0x43, 0x87, 0, 0, 0)) + dsl.to_bytes(3, "big") + bytes(40) + bytes(70000))


def test_cut_at_every_byte(gw):
    text = keys("InitiatorName=iqn.2026-11.test:raw", "TargetName=" + gw.target)
    with Initiator(gw.addr) as i:
        sent = bytearray()
        i.transmit = sent.extend
        i.login_pdu(text)
    for n in range(0, len(sent), 3):
        with socket.create_connection(gw.addr, 5) as s:
            s.sendall(bytes(sent[:n]))


def test_half_open_logins(gw):
    """Hundreds of peers that say nothing cost little and keep nobody out (E2)."""
    idle = [socket.create_connection(gw.addr, 5) for _ in range(400)]
    for s in idle[::2]:
        s.sendall(b"\x43\x87")
    began = time.monotonic()
    with attach(gw.addr, gw.target) as i:
        assert i.finish(i.command(bytes(6)))[0].status == 0
    assert time.monotonic() - began < 10
    for s in idle:
        s.close()


def test_half_logged_in(gw):
    """So do peers that stop in the middle of a login: the login objects are bounded."""
    held = []
    for _ in range(200):
        i = Initiator(gw.addr)
        i.login_pdu(keys("InitiatorName=" + i.name, "TargetName=" + gw.target), transit=False)
        held.append(i)
    for i in held[100:]:
        i.close()
    for i in held[:100]:
        i.close()
    attach(gw.addr, gw.target).close()


run(globals())
