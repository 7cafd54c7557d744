#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=120
"""Commands that wait for their turn have memory that an older one needs: neither waits for ever (SAM-5 8, TASK SET FULL)."""
from _initiator import NOP_IN, R2T, SCSI_RSP, attach, write10
from _suite import run

SIMPLE, ORDERED = 1, 2
GOOD, TASK_SET_FULL = 0, 0x28
SIZE, PART = 8 << 20, 128 << 10


def answer(i):
    pdu = i.recv()
    while pdu.opcode == NOP_IN:
        if pdu.ttt != 0xFFFFFFFF:
            i.nop(itt=0xFFFFFFFF, ttt=pdu.ttt)
        pdu = i.recv()
    return pdu


def test_the_older_one_gets_its_memory(gw):
    with attach(gw.addr, gw.target, "ImmediateData=Yes", "InitialR2T=Yes", timeout=60) as i:
        first = i.command(write10(0, 8), write=4096, attr=SIMPLE)
        asks = answer(i)
        assert asks.opcode == R2T and asks.itt == first, hex(asks.opcode)
        large = i.command(write10(0, SIZE // 512), write=SIZE, attr=ORDERED)
        later = {i.command(write10(0, PART // 512), write=PART, data=bytes(512), attr=ORDERED) for _ in range(30)}
        i.data_out(first, asks.ttt, 0, 0, bytes(4096))
        pdu = answer(i)
        # Beyond their part they are refused at once; the others when it turns out that they are in the way.
        while pdu.opcode == SCSI_RSP:
            if pdu.itt == first:
                assert pdu.status == GOOD, pdu.status
            else:
                assert pdu.itt in later and pdu.status == TASK_SET_FULL, (pdu.itt, pdu.status)
                later.remove(pdu.itt)
            pdu = answer(i)
        assert pdu.opcode == R2T and pdu.itt == large, (hex(pdu.opcode), pdu.itt)


run(globals(), ("--cores", "0", "--buf-mb", "8"))
