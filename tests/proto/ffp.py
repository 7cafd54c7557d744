#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=240
"""The full feature phase seen from the wire: exchanges, windows, task management, hostile PDUs."""
import random
import struct
import time

from _initiator import (Closed, DATA_IN, Initiator, LOGOUT_RSP, NOP_IN, NONE, R2T, REJECT, SCSI_RSP, SNACK,
                        TMF_RSP, TEXT_RSP, attach, keys, read10, write10)
from _suite import run


def pattern(n, seed=1):
    return random.Random(seed).randbytes(n)


def check_roundtrip(i, lba, data):
    rsp = i.write_blocks(lba, data)
    assert rsp.opcode == SCSI_RSP and rsp.status == 0, (rsp.opcode, rsp.status, rsp.sense())
    rsp, got = i.read_blocks(lba, len(data) // 512)
    assert rsp.status == 0 and got == data, "what was read is not what was written"


def test_solicited_writes(gw):
    for keys_ in ((), ("MaxBurstLength=8192", "FirstBurstLength=4096"), ("MaxRecvDataSegmentLength=1024",),
                  ("MaxOutstandingR2T=4", "MaxBurstLength=4096", "FirstBurstLength=512")):
        with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes", *keys_) as i:
            for n in (1, 2, 7, 8, 63, 257, 1024):
                check_roundtrip(i, 64 + n, pattern(n * 512, n))


def test_digests(gw):
    for digests in (("HeaderDigest=CRC32C",), ("DataDigest=CRC32C",), ("HeaderDigest=CRC32C", "DataDigest=CRC32C")):
        with attach(gw.addr, gw.target, *digests) as i:
            assert i.hdigest == ("HeaderDigest=CRC32C" in digests)
            for n in (1, 3, 200):
                check_roundtrip(i, 10, pattern(n * 512, n))


def test_immediate_data(gw):
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=Yes") as i:
        for n in (1, 5, 16):
            data = pattern(n * 512, n)
            itt = i.command(write10(100, n), write=len(data), data=data)
            rsp, _ = i.finish(itt)
            assert rsp.status == 0, rsp.sense()
            assert i.read_blocks(100, n)[1] == data


def test_immediate_and_the_rest_by_r2t(gw):
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=Yes") as i:
        for n, imm in ((200, 512), (200, 4096), (300, 512 * 3), (128, 100)):
            data = pattern(n * 512, n)
            itt = i.command(write10(0, n), write=len(data), data=data[:imm])
            while (pdu := i.recv()).opcode == R2T:
                assert pdu.offset >= imm
                for at in range(pdu.offset, pdu.offset + pdu.length, 8192):
                    end = min(at + 8192, pdu.offset + pdu.length)
                    i.data_out(itt, pdu.ttt, (at - pdu.offset) // 8192, at, data[at:end],
                               final=end == pdu.offset + pdu.length)
            assert pdu.status == 0, pdu.sense()
            assert i.read_blocks(0, n)[1] == data


def test_unsolicited_data(gw):
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=No", "FirstBurstLength=65536") as i:
        data = pattern(128 * 512)
        itt = i.command(write10(0, 128), write=len(data), data=data[:4096], final=False)
        for sn, at in enumerate(range(4096, 65536, 4096)):
            i.data_out(itt, NONE, sn, at, data[at:at + 4096], final=at + 4096 == 65536)
        rsp, _ = i.finish(itt)
        assert rsp.status == 0, rsp.sense()
        assert i.read_blocks(0, 128)[1] == data


def test_tag_is_free_once_its_status_is_read(gw):
    """What follows in the same send may still wait for room in the socket."""
    with attach(gw.addr, gw.target, "MaxRecvDataSegmentLength=262144", narrow=True) as i:
        burst = []
        i.transmit = burst.append
        first = i.command(read10(0, 8), read=4096)
        rest = [i.command(read10(0, 2048), read=1 << 20) for _ in range(8)]
        i.transmit = i.sock.sendall
        i.transmit(b"".join(burst))
        assert i.finish(first)[0].status == 0
        i.command(read10(0, 8), read=4096, itt=first)
        ended = set()
        while ended != {first, *rest}:
            pdu = i.recv()
            assert pdu.opcode != REJECT, "a tag is refused whose command was answered"
            if pdu.opcode == SCSI_RSP or pdu.flags & 1:
                assert pdu.status == 0, pdu.sense()
                ended.add(pdu.itt)


def test_refused_write_swallows_its_data(gw):
    """A bad LBA is known at once, but unsolicited data is under way: it must not be taken for PDUs."""
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=No") as i:
        itt = i.command(write10(0xFFFFFFF0, 16), write=8192, data=bytes(4096), final=False)
        i.data_out(itt, NONE, 0, 4096, bytes(4096))
        rsp, _ = i.finish(itt)
        assert rsp.status == 2 and rsp.sense() == (5, 0x2100), (rsp.status, rsp.sense())
        assert i.finish(i.command(bytes(6)))[0].status == 0


def test_many_commands_in_one_send(gw):
    with attach(gw.addr, gw.target) as i:
        together = bytearray()
        i.transmit = together.extend
        itts = [i.command(read10(n, 8), read=4096) for n in range(32)]
        i.transmit = i.sock.sendall
        i.transmit(bytes(together))
        left = set(itts)
        while left:
            pdu = i.recv()
            if pdu.opcode == SCSI_RSP or pdu.flags & 1:
                assert pdu.status == 0
                left.discard(pdu.itt)


def test_residuals(gw):
    with attach(gw.addr, gw.target) as i:
        rsp, data = i.finish(i.command(read10(0, 1), read=1024))
        assert len(data) == 512 and rsp.flags & 6 == 2 and rsp.residual == 512, (rsp.flags, rsp.residual)
        rsp, data = i.finish(i.command(read10(0, 2), read=512))
        assert len(data) == 512 and rsp.flags & 6 == 4 and rsp.residual == 512, (rsp.flags, rsp.residual)


def test_command_window(gw):
    """Commands outside the window are ignored, not executed and not answered (4.2.2.1)."""
    with attach(gw.addr, gw.target) as i:
        rsp, _ = i.finish(i.command(bytes(6)))
        i.command(bytes(6), cmdsn=(rsp.maxcmdsn + 5) & NONE)
        i.command(bytes(6), cmdsn=(rsp.expcmdsn - 3) & NONE)
        itt = i.nop()
        pdu = i.recv()
        assert pdu.opcode == NOP_IN and pdu.itt == itt


def test_serial_numbers_wrap(gw):
    with Initiator(gw.addr) as i:
        i.cmdsn = 0xFFFFFFF0
        i.login(gw.target)
        for _ in range(40):
            rsp, _ = i.finish(i.command(bytes(6)))
        assert rsp.status == 0


def test_nop_ping(gw):
    with attach(gw.addr, gw.target) as i:
        for n in (0, 1, 4, 500, 4096):
            itt = i.nop(pattern(n))
            pdu = i.recv()
            assert pdu.opcode == NOP_IN and pdu.itt == itt and pdu.data == pattern(n)


def test_text_in_normal_session(gw):
    with attach(gw.addr, gw.target) as i:
        i.text(keys("SendTargets="))
        pdu = i.recv()
        assert pdu.opcode == TEXT_RSP and gw.target.encode() in pdu.data


def test_logout(gw):
    for reason in (0, 1):
        with attach(gw.addr, gw.target) as i:
            i.logout(reason)
            pdu = i.recv()
            assert pdu.opcode == LOGOUT_RSP and pdu.response == 0
            assert i.closed()


def test_unknown_lun(gw):
    with attach(gw.addr, gw.target) as i:
        for lun in (7, 300, b"\xff" * 8):
            rsp, _ = i.finish(i.command(bytes(6), lun=lun))
            assert rsp.status == 2 and rsp.sense() == (5, 0x2500), (lun, rsp.status, rsp.sense())
        rsp, data = i.finish(i.command(bytes((0x12, 0, 0, 0, 96, 0)), read=96, lun=7))
        assert rsp.status == 0 and data[0] == 0x7F, data[:1]


def test_task_management(gw):
    with attach(gw.addr, gw.target) as i:
        for function, want in ((1, 1), (2, 0), (4, 0), (5, 0), (3, 5), (8, (4, 5)), (99 & 0x7F, 5)):
            itt = i.tmf(function)
            pdu = i.recv()
            assert pdu.opcode == TMF_RSP and pdu.itt == itt, pdu.opcode
            assert pdu.response in (want if isinstance(want, tuple) else (want,)), (function, pdu.response)
        itt = i.tmf(5, lun=9)
        assert i.recv().response == 2, "a LUN that is not there"


def test_abort_of_a_write_that_waits_for_data(gw):
    with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes") as i:
        i.write_blocks(0, bytes(512))
        itt = i.command(write10(0, 1), write=512)
        r2t = i.recv()
        assert r2t.opcode == R2T
        i.tmf(1, ref=itt, refcmdsn=i.cmdsn - 1)
        pdu = i.recv()
        assert pdu.opcode == TMF_RSP and pdu.response == 0, (pdu.opcode, pdu.response)
        i.data_out(itt, r2t.ttt, 0, 0, b"\xee" * 512)
        rsp, data = i.read_blocks(0, 1)
        assert rsp.status == 0 and data == bytes(512), "an aborted write reached the medium"


def test_aborted_writes_make_room_for_those_that_wait(gw):
    """Two writes fill what a connection may hold for data to come; a third gets its turn when one is aborted."""
    with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes") as i:
        large = [i.command(write10(0, 16384), write=8 << 20) for _ in range(2)]
        assert [i.recv().opcode for _ in large] == [R2T, R2T]
        waits = i.command(write10(0, 1), write=512)
        i.nop()
        assert i.recv().opcode == NOP_IN, "the third write does not wait"
        i.tmf(1, ref=large[0], refcmdsn=1)
        got = [i.recv(), i.recv()]
        assert {TMF_RSP, R2T} == {p.opcode for p in got}
        assert [p.itt for p in got if p.opcode == R2T] == [waits]


def test_data_is_asked_for_a_window_at_a_time(gw):
    """Writes beyond it wait: they are asked in their turn, may be aborted, and hold up nothing else."""
    size, count = 256 << 10, 12
    with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes", "MaxBurstLength=262144",
                "FirstBurstLength=262144") as i:
        itts = [i.command(write10(n * 512, 512), write=size) for n in range(count)]
        asked = [i.recv() for _ in range(4)]
        assert [(p.opcode, p.itt) for p in asked] == [(R2T, itt) for itt in itts[:4]]
        assert i.finish(i.command(bytes(6)))[0].status == 0, "a command without data waits for the writes"
        i.tmf(1, ref=itts[7], refcmdsn=i.cmdsn - 1)  # one that waits
        assert i.recv().opcode == TMF_RSP
        i.tmf(1, ref=itts[2], refcmdsn=i.cmdsn - 1)  # one that was asked, and never sends
        got = [i.recv(), i.recv()]
        assert {(p.opcode, p.itt) for p in got if p.opcode == R2T} == {(R2T, itts[4])}
        asked = [p for p in asked + got if p.opcode == R2T and p.itt != itts[2]]
        done, want = set(), set(itts) - {itts[2], itts[7]}
        while done != want:
            if asked:
                pdu = asked.pop(0)
                i.data_out(pdu.itt, pdu.ttt, 0, 0, pattern(size, itts.index(pdu.itt)))
            pdu = i.recv()
            if pdu.opcode == R2T:
                asked.append(pdu)
            else:
                assert pdu.opcode == SCSI_RSP and pdu.status == 0, (pdu.opcode, pdu.status)
                done.add(pdu.itt)
        for n, itt in enumerate(itts):
            if itt in want:
                assert i.read_blocks(n * 512, 512)[1] == pattern(size, n), f"write {n} is not what was sent"
        # Who logs out, or goes away, with writes that wait takes them along.
        for n in range(count):
            i.command(write10(n * 512, 512), write=size)
        i.logout()
        while i.recv().opcode != LOGOUT_RSP:
            pass


def test_tag_of_an_aborted_write_is_free(gw):
    """An initiator that has aborted a write need not send its data before it uses the tag again."""
    with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes") as i:
        itt = i.command(write10(0, 1), write=512)
        assert i.recv().opcode == R2T
        i.tmf(1, ref=itt, refcmdsn=i.cmdsn - 1)
        assert i.recv().opcode == TMF_RSP
        rsp, _ = i.finish(i.command(bytes(6), itt=itt))
        assert rsp.opcode == SCSI_RSP and rsp.status == 0


def test_aborted_writes_leave_window_and_slots(gw):
    with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes") as i:
        rsp, _ = i.finish(i.command(bytes(6)))
        depth = rsp.maxcmdsn - rsp.expcmdsn + 1
        for _ in range(3):
            for lba in range(64):
                i.command(write10(lba, 1), write=512)
            assert {i.recv().opcode for _ in range(64)} == {R2T}
            i.tmf(5)
            rsp = i.recv()
            assert rsp.opcode == TMF_RSP and rsp.maxcmdsn - rsp.expcmdsn + 1 == depth
            i.finish(i.command(bytes(6)))  # the unit attention of the reset
        check_roundtrip(i, 0, pattern(512))


def test_many_aborted_writes_without_their_data(gw):
    """Unsolicited data that never comes: tasks do not pile up."""
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=No") as i:
        for _ in range(2000):
            itt = i.command(write10(0, 8), write=4096, data=bytes(512), final=False)
            i.tmf(1, ref=itt, refcmdsn=i.cmdsn - 1)
            assert i.recv().opcode == TMF_RSP
        check_roundtrip(i, 0, pattern(512))


def test_lu_reset_is_noticed_by_others(gw):
    with attach(gw.addr, gw.target) as one, attach(gw.addr, gw.target, name="iqn.2026-11.test:two") as two:
        one.tmf(5)
        assert one.recv().response == 0
        rsp, _ = two.finish(two.command(bytes(6)))
        assert rsp.status == 2 and rsp.sense()[0] == 6 and rsp.sense()[1] >> 8 == 0x29, rsp.sense()


def test_reservation_conflict(gw):
    reserve, release = bytes((0x16, 0, 0, 0, 0, 0)), bytes((0x17, 0, 0, 0, 0, 0))
    with attach(gw.addr, gw.target) as one, attach(gw.addr, gw.target, name="iqn.2026-11.test:two") as two:
        assert one.finish(one.command(reserve))[0].status == 0
        rsp = two.write_blocks(0, bytes(512))
        assert rsp.status == 0x18, rsp.status
        assert two.finish(two.command(reserve))[0].status == 0x18
        one.close()
        for _ in range(50):
            if two.finish(two.command(reserve))[0].status == 0:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the reservation outlived its nexus")
        assert two.finish(two.command(release))[0].status == 0


def rejected_or_closed(i):
    try:
        pdu = i.recv()
    except Closed:
        return True
    return pdu.opcode == REJECT


def test_unknown_opcodes(gw):
    for op in (0x07, 0x0F, 0x1C, 0x20, 0x25, 0x3F):
        with attach(gw.addr, gw.target) as i:
            i.send(i.bhs(op))
            assert rejected_or_closed(i), op


def test_snack_is_rejected(gw):
    with attach(gw.addr, gw.target) as i:
        i.send(i.bhs(SNACK | 0x40, 0x80))
        assert rejected_or_closed(i)


def test_too_long_segment(gw):
    for dsl in (262145, 1 << 20, 0xFFFFFF):
        with attach(gw.addr, gw.target) as i:
            i.send(i.bhs(0x40, 0x80, w20=NONE), b"", dsl=dsl)
            try:
                i.sock.sendall(bytes(1 << 20))
            except OSError:
                pass
            assert i.closed() or True


def test_data_out_from_nowhere(gw):
    rnd = random.Random(3)
    for n in range(60):
        with attach(gw.addr, gw.target) as i:
            i.data_out(rnd.getrandbits(32), rnd.getrandbits(32) if n % 2 else NONE, rnd.getrandbits(32),
                       rnd.getrandbits(32), bytes(rnd.randrange(2000)))
            i.nop()
            try:
                while i.recv().opcode == REJECT:
                    pass
            except Closed:
                pass


def r2t_then(gw, *args, **kw):
    """A Data-Out that does not fit its R2T must neither be written nor hurt; returns what came."""
    with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes") as i:
        i.write_blocks(0, b"\x55" * 4096)
        itt = i.command(write10(0, 8), write=4096)
        r2t = i.recv()
        i.data_out(itt, r2t.ttt, *args, **kw)
        try:
            i.sock.settimeout(1)
            pdu = i.recv()
            assert pdu.opcode == REJECT or pdu.status != 0, "a wrong Data-Out was accepted"
        except (Closed, TimeoutError):
            pass
    with attach(gw.addr, gw.target) as i:
        assert i.read_blocks(0, 8)[1] == b"\x55" * 4096, "a wrong Data-Out reached the medium"


def test_wrong_data_out_offset(gw):
    for offset in (512, 4096, 0x80000000, 0xFFFFFFFF):
        r2t_then(gw, 0, offset, b"\xaa" * 4096)


def test_too_long_data_out(gw):
    r2t_then(gw, 0, 0, b"\xaa" * 8192)


def test_wrong_data_sn(gw):
    r2t_then(gw, 5, 0, b"\xaa" * 4096)


def test_data_out_ends_early(gw):
    r2t_then(gw, 0, 0, b"\xaa" * 512)


def test_immediate_data_beyond_first_burst(gw):
    with attach(gw.addr, gw.target, "FirstBurstLength=4096", "ImmediateData=Yes") as i:
        i.command(write10(0, 64), write=32768, data=bytes(16384))
        assert rejected_or_closed(i) or True


def test_data_digest_error(gw):
    with attach(gw.addr, gw.target, "DataDigest=CRC32C", "ImmediateData=Yes") as i:
        i.write_blocks(0, b"\x11" * 512)
        i.command(write10(0, 1), write=512, data=b"\x22" * 512, bad_ddigest=True)
        pdu = None
        try:
            pdu = i.recv()
        except Closed:
            pass
        assert pdu is None or (pdu.opcode == REJECT and pdu.response == 2) or pdu.status != 0
    with attach(gw.addr, gw.target) as i:
        assert i.read_blocks(0, 1)[1] == b"\x11" * 512


def test_header_digest_error(gw):
    with attach(gw.addr, gw.target, "HeaderDigest=CRC32C") as i:
        i.send(i.bhs(0x41, 0x80), bad_hdigest=True)
        assert i.closed()


def test_additional_headers(gw):
    """An extended CDB, an unknown kind, a length that lies (11.2.2)."""
    for ahs in (struct.pack(">HBB", 1, 9, 0), struct.pack(">HBB", 0xFFFF, 1, 0), bytes(1020), b"\xff" * 1020,
                struct.pack(">HBB", 17, 1, 0) + bytes(16)):
        with attach(gw.addr, gw.target) as i:
            i.command(bytes(6), ahs=ahs)
            i.nop()
            try:
                i.recv()
            except Closed:
                pass


def test_peer_that_does_not_read(gw):
    """Answers pile up for one that sends reads and never listens: bounded, and others go on."""
    with attach(gw.addr, gw.target) as i:
        i.sock.settimeout(0.5)
        try:
            for n in range(4000):
                i.command(read10(0, 512), read=262144)
        except OSError:
            pass
        with attach(gw.addr, gw.target, name="iqn.2026-11.test:two") as two:
            for _ in range(20):
                assert two.read_blocks(0, 128)[0].status == 0


def test_peer_that_sends_no_data(gw):
    """Writes whose data never comes hold buffers; others must get theirs."""
    with attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes") as i:
        for n in range(100):
            i.command(write10(0, 512), write=262144)
        with attach(gw.addr, gw.target, name="iqn.2026-11.test:two") as two:
            for n in range(20):
                check_roundtrip(two, 0, pattern(262144, n))


def test_cut_in_the_middle(gw):
    """The connection dies with commands at every stage."""
    for n in range(40):
        i = attach(gw.addr, gw.target, "ImmediateData=No", "InitialR2T=Yes")
        for k in range(n % 8):
            i.command(read10(0, 64), read=32768)
        itt = i.command(write10(0, 64), write=32768)
        if n % 2:
            while (pdu := i.recv()).opcode != R2T:
                pass
            i.data_out(itt, pdu.ttt, 0, 0, bytes(512 * (n % 7)), final=False)
        if n % 3 == 0:
            i.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))
        i.close()


def logs_in_again(gw, i):
    """The session's name is free again: nothing of the old one is left that a new login would wait for."""
    with Initiator(gw.addr, name=i.name) as again:
        again.isid = i.isid
        assert again.login(gw.target).bhs[36:38] == b"\0\0"


def test_cut_in_the_data_of_a_refused_write(gw):
    """The write is on no list: neither executing nor waiting for Data-Outs (an LBA that is not there)."""
    i = attach(gw.addr, gw.target, "ImmediateData=Yes", name="iqn.2026-11.test:cut-refused")
    i.command(write10(0xFFFFFFF0, 16), write=8192, data=bytes(4096), dsl=8192)
    time.sleep(0.2)
    i.close()
    logs_in_again(gw, i)


def test_cut_in_the_data_of_an_aborted_write(gw):
    i = attach(gw.addr, gw.target, "ImmediateData=Yes", name="iqn.2026-11.test:cut-aborted")
    i.command(write10(0, 16), write=8192, data=bytes(4096), dsl=8192)
    time.sleep(0.2)
    with attach(gw.addr, gw.target, name="iqn.2026-11.test:two") as two:
        two.tmf(5)
        assert two.recv().response == 0
    i.close()
    logs_in_again(gw, i)


def test_random_full_feature_pdus(gw):
    rnd = random.Random(11)
    for n in range(150):
        with attach(gw.addr, gw.target) as i:
            for _ in range(5):
                bhs = bytearray(rnd.randbytes(48))
                bhs[0] = rnd.choice((0x40, 0x41, 0x42, 0x01, 0x04, 0x44, 0x05, 0x46, 0x50)) if n % 4 else bhs[0]
                bhs[4] = bhs[5] = bhs[6] = 0
                bhs[24:28] = struct.pack(">I", i.cmdsn)
                if n % 2:
                    bhs[8:16] = bytes((0, 1)) + bytes(6)
                try:
                    i.send(bytes(bhs), rnd.randbytes(bhs[7]))
                except OSError:
                    break


run(globals())
