#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=240
"""Peers that take all they can get and give nothing back: others on the same core go on."""
import contextlib
import socket

from _initiator import Initiator, attach, keys, read10, write10
from _suite import run


@contextlib.contextmanager
def crowd(gw, n, target=None, login=True):
    """n connections that will not read much."""
    many = []
    try:
        for k in range(n):
            i = Initiator(gw.addr, name="iqn.2026-11.test:crowd%d" % k)
            many.append(i)
            i.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if login:
                assert i.login(target).bhs[36:38] == b"\0\0"
            i.sock.settimeout(0.3)
        yield many
    finally:
        for i in many:
            i.close()


def insist(send, times):
    try:
        for _ in range(times):
            send()
    except OSError:
        pass


def test_pings_whose_answers_nobody_reads(gw):
    """Each keeps all control entries that a connection may have; discovery needs no permission."""
    with attach(gw.addr, gw.target) as i, crowd(gw, 24) as many:
        for m in many:
            insist(lambda m=m: m.nop(bytes(8192)), 3000)
        assert i.read_blocks(0, 8)[0].status == 0
        with attach(gw.addr, gw.target, name="iqn.2026-11.test:late") as late:
            assert late.read_blocks(0, 8)[0].status == 0


def test_reads_whose_data_nobody_reads(gw):
    """Each has a sendmsg under way that does not end."""
    with attach(gw.addr, gw.target) as i, crowd(gw, 80, gw.target) as many:
        for m in many:
            m.finish(m.command(bytes(6)))
            for _ in range(8):
                m.command(read10(0, 1024), read=512 << 10)
        # Reading needs buffers, which are another matter.
        assert i.finish(i.command(bytes(6)))[0].status == 0


def test_logins_that_wait_for_their_turn(gw):
    """More than there is memory for at once, none goes on: those who are in are not disturbed."""
    with attach(gw.addr, gw.target) as i, crowd(gw, 64 + 300, login=False) as many:
        for m in many:
            m.login_pdu(keys("InitiatorName=" + m.name, "TargetName=" + gw.target, "X-a=" + "a" * 4000),
                        transit=False)
        for _ in range(20):
            assert i.read_blocks(0, 8)[0].status == 0


def test_writes_whose_data_nobody_sends(gw):
    """Each has a little data at once and memory for all of it: half of what there is at most."""
    with attach(gw.addr, gw.target) as i, crowd(gw, 1, gw.target) as many:
        many[0].finish(many[0].command(bytes(6)))
        for _ in range(10):
            many[0].command(write10(0, 16384), write=8 << 20, data=bytes(512))
        assert i.read_blocks(0, 8)[0].status == 0


def test_reads_that_one_does_not_take(gw):
    with attach(gw.addr, gw.target) as i, crowd(gw, 1, gw.target) as many:
        many[0].finish(many[0].command(bytes(6)))
        for _ in range(20):
            many[0].command(read10(0, 16384), read=8 << 20)
        assert i.read_blocks(0, 8)[0].status == 0


def test_one_login_more(gw):
    """All memory of logins is taken by those that do not go on: who does, need not wait for their timeout."""
    with crowd(gw, 64, login=False) as many:
        for m in many:
            m.login_pdu(keys("InitiatorName=" + m.name, "TargetName=" + gw.target), transit=False)
        with attach(gw.addr, gw.target, name="iqn.2026-11.test:late") as late:
            assert late.read_blocks(0, 8)[0].status == 0


run(globals(), ("--cores", "0"))
