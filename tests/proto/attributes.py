#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=120
"""Task attributes on the wire (RFC 7143 11.3.1, SAM-5 8): who waits for whom, and who is refused."""
from _initiator import DATA_IN, NOP_IN, R2T, REJECT, SCSI_RSP, TEST_UNIT_READY, TMF_RSP, attach, read10, write10
from _suite import run

UNTAGGED, SIMPLE, ORDERED, HEAD, ACA = range(5)
ABORT_TASK, ABORT_TASK_SET, LU_RESET = 1, 2, 5
ASK = ("ImmediateData=No", "InitialR2T=Yes")


def silent(i):
    """What has been sent has been looked at, and nothing of it is answered."""
    itt = i.nop()
    pdu = i.recv()
    assert pdu.opcode == NOP_IN and pdu.itt == itt, (hex(pdu.opcode), pdu.itt)


def expect(i, opcode, itt):
    pdu = i.recv()
    assert pdu.opcode == opcode and pdu.itt == itt, (hex(pdu.opcode), pdu.itt, itt)
    return pdu


def good(i, itt):
    pdu = expect(i, SCSI_RSP, itt)
    assert pdu.status == 0, (pdu.status, pdu.sense())


def write(i, lba, attr, n=8):
    """Sent without its data."""
    return i.command(write10(lba, n), write=n * 512, attr=attr)


def send_data(i, r2t, byte):
    i.data_out(r2t.itt, r2t.ttt, 0, r2t.offset, byte * r2t.length)


def tur(i, attr, **kw):
    return i.command(TEST_UNIT_READY, attr=attr, **kw)


def test_ordered_waits_and_is_waited_for(gw):
    with attach(gw.addr, gw.target, *ASK) as i:
        first = write(i, 0, SIMPLE)
        older = expect(i, R2T, first)
        ordered = write(i, 0, ORDERED)
        reads = [i.command(read10(0, 8), read=4096, attr=a) for a in (SIMPLE, UNTAGGED)]
        head, unit = tur(i, HEAD), tur(i, SIMPLE)
        # It passes all of them; the next one is not even asked for its data.
        good(i, head)
        silent(i)
        send_data(i, older, b"a")
        good(i, first)
        younger = expect(i, R2T, ordered)
        silent(i)
        send_data(i, younger, b"b")
        good(i, ordered)
        left, data = {unit, *reads}, b""
        while left:
            pdu = i.recv()
            data += pdu.data if pdu.opcode == DATA_IN else b""
            if pdu.opcode == SCSI_RSP or pdu.flags & 1:
                assert pdu.status == 0, pdu.sense()
                left.remove(pdu.itt)
        assert data == b"b" * 8192, "a read passed the ordered write before it"


def test_other_sessions_do_not_wait(gw):
    with attach(gw.addr, gw.target, *ASK) as i, attach(gw.addr, gw.target, name="iqn.2026-11.test:other") as other:
        r2t = expect(i, R2T, write(i, 0, ORDERED))
        assert other.read_blocks(0, 8)[0].status == 0
        itt = other.command(write10(64, 8), write=4096, data=bytes(4096), attr=ORDERED)
        assert other.finish(itt)[0].status == 0
        send_data(i, r2t, b"c")
        good(i, r2t.itt)


def test_data_that_came_with_it(gw):
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=Yes") as i:
        slow = i.command(write10(0, 16), write=8192, data=b"1" * 512, attr=ORDERED)
        r2t = expect(i, R2T, slow)
        itts = [i.command(write10(0, 1), write=512, data=bytes((65 + n,)) * 512, attr=ORDERED) for n in range(20)]
        silent(i)
        send_data(i, r2t, b"2")
        for itt in [slow, *itts]:
            good(i, itt)
        assert i.read_blocks(0, 2)[1] == b"T" * 512 + b"2" * 512


def test_aborts(gw):
    with attach(gw.addr, gw.target, *ASK) as i:
        r2t = expect(i, R2T, write(i, 0, ORDERED))
        held, ordered, last = tur(i, SIMPLE), write(i, 8, ORDERED), tur(i, SIMPLE)
        for itt in (held, ordered):
            assert expect(i, TMF_RSP, i.tmf(ABORT_TASK, ref=itt)).response == 0
        silent(i)
        assert expect(i, TMF_RSP, i.tmf(ABORT_TASK, ref=r2t.itt)).response == 0
        good(i, last)
        write(i, 0, ORDERED)
        assert i.recv().opcode == R2T
        for attr in (SIMPLE, ORDERED, SIMPLE):
            tur(i, attr)
        assert expect(i, TMF_RSP, i.tmf(ABORT_TASK_SET)).response == 0
        assert i.read_blocks(0, 8)[0].status == 0


def test_reset_by_another_session(gw):
    with attach(gw.addr, gw.target, *ASK) as i, attach(gw.addr, gw.target, name="iqn.2026-11.test:other") as other:
        write(i, 0, ORDERED)
        assert i.recv().opcode == R2T
        tur(i, SIMPLE), write(i, 8, HEAD), tur(i, ORDERED)
        assert i.recv().opcode == R2T
        assert expect(other, TMF_RSP, other.tmf(LU_RESET)).response == 0
        rsp, _ = i.finish(tur(i, SIMPLE))
        assert rsp.sense() == (6, 0x2903), rsp.sense()
        assert i.finish(tur(i, ORDERED))[0].status == 0


def test_a_session_ends_with_commands_that_wait(gw):
    for _ in range(4):
        with attach(gw.addr, gw.target, *ASK) as i:
            write(i, 0, ORDERED)
            assert i.recv().opcode == R2T
            for attr in (SIMPLE, ORDERED, HEAD, SIMPLE, ORDERED):
                write(i, 8, attr)


def test_aca_and_reserved_ones(gw):
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=No") as i:
        rsp, _ = i.finish(tur(i, ACA))
        assert rsp.status == 2 and rsp.sense() == (5, 0x4900), rsp.sense()
        rsp, _ = i.finish(i.command(write10(0, 1), write=512, data=b"x" * 512, attr=ACA))
        assert rsp.status == 2 and rsp.sense() == (5, 0x4900), rsp.sense()
        assert b"x" not in i.read_blocks(0, 1)[1]
        # NACA: no auto contingent allegiance, either.
        rsp, _ = i.finish(i.command(bytes((0, 0, 0, 0, 0, 4))))
        assert rsp.status == 2 and rsp.sense() == (5, 0x2400), rsp.sense()
        for attr in (5, 6, 7):
            tur(i, attr)
            assert i.recv().opcode == REJECT
            assert i.finish(tur(i, SIMPLE))[0].status == 0


def test_what_the_unit_says_of_itself(gw):
    with attach(gw.addr, gw.target) as i:
        _, page = i.finish(i.command(bytes((0x12, 1, 0x86, 0, 255, 0)), read=255))
        assert page[5] & 7 == 7, page.hex()
        _, page = i.finish(i.command(bytes((0x1A, 8, 0x0A, 0, 255, 0)), read=255))
        assert page[6] >> 5 == 1 and page[7] >> 4 == 1, page.hex()


run(globals())
