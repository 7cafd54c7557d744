#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What cluster software does with persistent reservations: two nodes, two paths each, two portals."""
# runner: timeout=180
import struct

from _pr_lab import (CAPABILITIES, CLEAR, CONFLICT, EA, EA_AR, EA_RO, GOOD, MOVE, PREEMPT, PREEMPT_ABORT, REG_PREEMPTED,
                     REGISTER, RELEASE, RES_PREEMPTED, RES_RELEASED, RESERVE, WE, WE_AR, WE_RO, Cluster, transport_id)
from lab import READY_SECS, STANDIN, require_built, wait_for
from tap import case, need, run
import xcopy

A, B, C = 0xAAAA000000000001, 0xBBBB000000000002, 0xCCCC000000000003
COPY_CONFLICT = (0xA, 0x0D01)
ALL_TYPES = (WE, EA, WE_RO, EA_RO, WE_AR, EA_AR)


def same(got, want):
    need(got == want, f"{got}, expected {want}")


def all_good(*results):
    need(all(r == GOOD for r in results), f"not all are good: {results}")


# What changes the medium: CDB, data.
def writers(lab):
    one, zero = b"\x99" * 512, bytes(512)
    unmap = struct.pack(">HHxxxxQIxxxx", 22, 16, 0, 1)
    copy = xcopy.parameters([lab.names[1]], [xcopy.segment(0, 0, 1, 5, 0)])
    # The token that stands for zeroes.
    token = struct.pack(">H14xI2xH510xHQI4x", 550, 0xFFFF0001, 504, 16, 0, 1)
    return {
        "WRITE(10)": (struct.pack(">BBIBHB", 0x2A, 0, 0, 0, 1, 0), one),
        "WRITE(12)": (struct.pack(">BBIIBB", 0xAA, 0, 0, 1, 0, 0), one),
        "WRITE(16)": (struct.pack(">BBQIBB", 0x8A, 0, 0, 1, 0, 0), one),
        "WRITE AND VERIFY(10)": (struct.pack(">BBIBHB", 0x2E, 0, 0, 0, 1, 0), one),
        "WRITE AND VERIFY(12)": (struct.pack(">BBIIBB", 0xAE, 0, 0, 1, 0, 0), one),
        "WRITE AND VERIFY(16)": (struct.pack(">BBQIBB", 0x8E, 0, 0, 1, 0, 0), one),
        "WRITE SAME(10)": (struct.pack(">BBIBHB", 0x41, 0, 0, 0, 1, 0), one),
        "WRITE SAME(16)": (struct.pack(">BBQIBB", 0x93, 0, 0, 1, 0, 0), one),
        "ORWRITE(16)": (struct.pack(">BBQIBB", 0x8B, 0, 0, 1, 0, 0), one),
        "COMPARE AND WRITE": (struct.pack(">BBQxxxBBB", 0x89, 0, 0, 1, 0, 0), zero + one),
        "UNMAP": (struct.pack(">BBxxxxBHB", 0x42, 0, 0, len(unmap), 0), unmap),
        "WRITE ATOMIC(16)": (struct.pack(">BBQxxHBB", 0x9C, 0, 0, 1, 0, 0), one),
        "EXTENDED COPY": (struct.pack(">BB8xI2x", 0x83, 0, len(copy)), copy),
        "WRITE USING TOKEN": (struct.pack(">BB4xII2x", 0x83, 0x11, 1, len(token)), token),
        "FORMAT UNIT": (bytes((4, 0, 0, 0, 0, 0)), b""),
        "SANITIZE": (struct.pack(">BB5xHB", 0x48, 1, 5, 0), b"\x01\0\0\x01\x99"),
    }


READERS = {
    "READ(10)": (struct.pack(">BBIBHB", 0x28, 0, 0, 0, 1, 0), 512),
    "READ(16)": (struct.pack(">BBQIBB", 0x88, 0, 0, 1, 0, 0), 512),
    "VERIFY(10)": (struct.pack(">BBIBHB", 0x2F, 0, 0, 0, 1, 0), 0),
}

# Those that nobody is kept from.
FREE = {
    "TEST UNIT READY": (bytes(6), 0),
    "INQUIRY": (bytes((0x12, 0, 0, 0, 96, 0)), 96),
    "REPORT LUNS": (struct.pack(">BxBxxxIxx", 0xA0, 0, 256), 256),
    "READ CAPACITY(10)": (bytes((0x25,)) + bytes(9), 8),
    "READ KEYS": (struct.pack(">BB5xHx", 0x5E, 0, 256), 256),
    "READ RESERVATION": (struct.pack(">BB5xHx", 0x5E, 1, 256), 256),
}


def fenced(lab, path, reads_too):
    """The path can do nothing to the medium, and the file behind it says so."""
    with open(lab.disk, "rb") as f:
        before = f.read(1 << 16)
    for name, (cdb, data) in writers(lab).items():
        got = path.cmd(cdb, data=data)
        need(got == CONFLICT or got == lab.absent.get(name), f"{name}: {got}")
    for name, (cdb, n) in READERS.items():
        got = path.cmd(cdb, read=n)
        need(got == (CONFLICT if reads_too else GOOD), f"{name}: {got}")
    for name, (cdb, n) in FREE.items():
        got = path.cmd(cdb, read=n)
        need(got == GOOD, f"{name}: {got}")
    # By way of another LUN, which anybody may use.
    path.calm(lun=2)
    same(copied(lab, path, 2, 1), COPY_CONFLICT)
    same(copied(lab, path, 1, 2), COPY_CONFLICT if reads_too else GOOD)
    with open(lab.disk, "rb") as f:
        need(f.read(1 << 16) == before, "the medium has changed")


def copied(lab, path, src, dst):
    """EXTENDED COPY that is sent to LUN 2."""
    data = xcopy.parameters([lab.names[src], lab.names[dst]], [xcopy.segment(0, 1, 1, 5, 0)])
    return path.cmd(struct.pack(">BB8xI2x", 0x83, 0, len(data)), data=data, lun=2)


@case("without a reservation every one of those commands is carried out")
def _(lab):
    a1, *_ = lab.join()
    a1.calm(lun=2)
    for name, (cdb, data) in writers(lab).items():
        need(a1.write(0) == GOOD, "zeroes")
        got = a1.cmd(cdb, data=data)
        need(got == lab.absent.get(name, GOOD), f"{name}: {got}")
        wait_for(lambda: a1.cmd(bytes(6)) == GOOD, READY_SECS, f"{name} is done")
    same((copied(lab, a1, 2, 1), copied(lab, a1, 1, 2)), (GOOD, GOOD))


@case("Windows cluster validation: register, reserve, and who may write")
def _(lab):
    a1, a2, b1, b2 = lab.join()
    caps = a1.pr_in(CAPABILITIES)
    need(caps[2] & 1 and caps[3] & 0x80 and caps[4] & 0xEA == 0xEA and caps[5] & 1, f"capabilities: {caps.hex()}")
    same(a1.keys(), [])
    same(a1.reservation(), None)
    gen = a1.generation()
    # Who is not registered can reserve nothing.
    same(a1.pr_out(RESERVE, A, kind=WE_RO), CONFLICT)
    all_good(a1.register_ignore(A), a2.register_ignore(A), b1.register_ignore(B), b2.register_ignore(B))
    same(b2.keys(), [A, A, B, B])
    same(b2.generation(), gen + 4)
    same(a1.register(C, key=B), CONFLICT)
    all_good(a1.pr_out(RESERVE, A, kind=WE_RO))
    for p in (a1, a2, b1, b2):
        same(p.reservation(), (A, WE_RO))
        same(p.write(), GOOD)
    same(b1.pr_out(RESERVE, B, kind=WE_RO), CONFLICT)
    same(a2.pr_out(RESERVE, A, kind=WE_RO), CONFLICT)
    same(a1.pr_out(RESERVE, A, kind=EA), CONFLICT)
    same(a1.pr_out(RESERVE, B, kind=WE_RO), CONFLICT)
    all_good(a1.pr_out(RESERVE, A, kind=WE_RO))
    # Not the holder's to release, nor with another type; RELEASE by who does not hold changes nothing.
    all_good(b1.pr_out(RELEASE, B, kind=WE_RO))
    same(a1.reservation(), (A, WE_RO))
    same(a1.pr_out(RELEASE, A, kind=EA_RO), (5, 0x2604))
    same(b1.generation(), gen + 4)


@case("Windows cluster validation: who has left is kept out, with every command")
def _(lab):
    a1, a2, b1, b2 = lab.join()
    all_good(a1.register(A), a2.register(A), b1.register(B), b2.register(B))
    for kind in ALL_TYPES:
        all_good(b1.register_ignore(0), b2.register_ignore(0))
        all_good(a1.pr_out(RESERVE, A, kind=kind))
        for p in (b1, b2):
            p.calm()
            fenced(lab, p, kind in (EA, EA_RO, EA_AR))
        # A registrant may what the type says.
        all_good(b1.register(B), b2.register(B))
        alone = kind in (WE, EA)
        for p in (a2, b1, b2):
            same(p.write(0x11), CONFLICT if alone else GOOD)
            same(p.read() == CONFLICT, kind == EA)
        same(a1.write(0x22), GOOD)
        all_good(a1.pr_out(RELEASE, A, kind=kind))
        for p in (a2, b1, b2):
            same(p.write(), GOOD if alone else RES_RELEASED)
        for p in (a2, b1, b2):
            p.calm()


@case("Windows cluster validation: a node takes over, the other one defends itself")
def _(lab):
    a1, a2, b1, b2 = lab.join()
    all_good(a1.register(A), a2.register(A), b1.register(B), b2.register(B))
    all_good(a1.pr_out(RESERVE, A, kind=WE_RO))
    gen = a1.generation()
    all_good(b1.pr_out(PREEMPT, B, A, WE_RO))
    same(b1.generation(), gen + 1)
    same(b2.keys(), [B, B])
    same(b2.reservation(), (B, WE_RO))
    for p in (a1, a2):
        same(p.write(), REG_PREEMPTED)
        same(p.write(), CONFLICT)
        fenced(lab, p, False)
        same(p.pr_out(PREEMPT, A, B, WE_RO), CONFLICT)
    same(b2.write(), GOOD)
    # It comes back, and takes over in its turn.
    all_good(a1.register_ignore(A), a2.register_ignore(A), a2.pr_out(PREEMPT, A, B, WE_RO))
    same(b1.write(), REG_PREEMPTED)
    same(b2.write(), REG_PREEMPTED)
    same(b1.write(), CONFLICT)
    same(a1.full_status(), {(a1.name, a1.isid.hex(), 1): (A, False), (a2.name, a2.isid.hex(), 2): (A, True)})
    # CLEAR ends all of it.
    all_good(b1.register_ignore(B), a1.pr_out(CLEAR, A))
    same(b1.write(), RES_PREEMPTED)
    same(a2.write(), RES_PREEMPTED)
    same(b2.write(), GOOD)
    same(a1.keys(), [])
    same(a1.reservation(), None)


@case("Windows cluster validation: registrations outlive sessions")
def _(lab):
    a1, a2, b1, _ = lab.join()
    all_good(a1.register(A), b1.register(B), a1.pr_out(RESERVE, A, kind=WE_RO))
    a1.logout()
    same(b1.keys(), [A, B])
    same(b1.reservation(), (A, WE_RO))
    fenced(lab, a2, False)
    a1.login()
    same(a1.write(), GOOD)
    same(a1.pr_out(RELEASE, A, kind=WE_RO), GOOD)
    # A connection that breaks, and another port of the same node: by another ISID it is a stranger.
    all_good(a1.pr_out(RESERVE, A, kind=EA_RO))
    a1.ini.close()
    isid, a1.isid = a1.isid, b"\x80\x12\x34\0\0\x77"
    a1.login()
    same(a1.write(), CONFLICT)
    a1.ini.close()
    a1.isid = isid
    a1.login()
    same(a1.write(), GOOD)


@case("fence_scsi: unfence, fence, status, come back")
def _(lab):
    a1, a2, b1, b2 = lab.join()
    # on: each path is registered, the first node to come reserves.
    for paths, key in (((a1, a2), A), ((b1, b2), B)):
        for p in paths:
            need(key not in p.keys() or p is paths[1], "registered before")
            all_good(p.register_ignore(key))
        if not paths[0].reservation():
            all_good(paths[0].pr_out(RESERVE, key, kind=WE_RO))
    all_good(a1.write(0x41), b2.write(0x42))
    # off: the other node's key is preempted, its commands end.
    all_good(a1.pr_out(PREEMPT_ABORT, A, B, WE_RO))
    same(a2.keys(), [A, A])
    same(a2.reservation(), (A, WE_RO))
    for p in (b1, b2):
        same(p.write(), REG_PREEMPTED)
        fenced(lab, p, False)
    # Fenced twice: the key is no more, and that is told.
    same(a1.pr_out(PREEMPT_ABORT, A, B, WE_RO), CONFLICT)
    all_good(b1.register_ignore(B), b2.register_ignore(B), b1.write(0x43))
    # The holder is fenced by the one that was let in again.
    all_good(b2.pr_out(PREEMPT_ABORT, B, A, WE_RO))
    same(b1.reservation(), (B, WE_RO))
    same(a2.write(), REG_PREEMPTED)
    same(a2.write(), CONFLICT)


@case("fence_mpath: one command registers, moves or fences all paths")
def _(lab):
    a1, a2, b1, b2 = lab.join()
    # mpathpersist registers path by path; ALL_TG_PT and SPEC_I_PT do it at once.
    all_good(a1.register(A, bits=0x04), b1.register(B, bits=0x04))
    same(sorted(a1.full_status()), sorted(
        (p.name, p.isid.hex(), port) for p in (a1, b1) for port in (1, 2)))
    same(a1.pr_out(RESERVE, A, kind=WE_AR), GOOD)
    same(a2.write(), CONFLICT)
    all_good(a1.register_ignore(0, bits=0x04))
    same(b1.keys(), [B, B])
    all_good(a1.register(A, bits=0x08, ids=transport_id(a2)), a1.pr_out(PREEMPT, A, B, WE_AR))
    need((a2.name, a2.isid.hex(), 1) in a1.full_status(), "SPEC_I_PT has registered nothing")
    # A path without session has its registration when it comes.
    p = lab.path_to("a", 1)
    lab.paths["extra"] = p
    p.ini.close()
    p.isid = a2.isid
    p.login()
    same(p.write(), GOOD)
    fenced(lab, b2, False)


@case("REGISTER AND MOVE hands the reservation to the other node")
def _(lab):
    a1, _, b1, b2 = lab.join()
    all_good(a1.register(A), a1.pr_out(RESERVE, A, kind=EA_RO))
    tid = transport_id(b2)
    param = struct.pack(">QQxBHI", A, B, 2, 2, len(tid)) + tid
    all_good(a1.cmd(struct.pack(">BBBxxIx", 0x5F, MOVE, 0, len(param)), data=param))
    same(b1.full_status(), {(b2.name, b2.isid.hex(), 2): (B, True)})
    same(b2.write(), GOOD)
    same(a1.write(), CONFLICT)
    same(b1.read(), CONFLICT)


@case("no key, no harm: wrong keys change nothing")
def _(lab):
    a1, a2, b1, _ = lab.join()
    all_good(a1.register(A), a1.pr_out(RESERVE, A, kind=WE_RO), b1.register(B))
    gen = a1.generation()
    for action in (REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT):
        same(b1.pr_out(action, C, A, WE_RO), CONFLICT)
        same(a2.pr_out(action, A, A, WE_RO), CONFLICT)
    same((a1.keys(), a1.reservation(), a1.generation()), ([A, B], (A, WE_RO), gen))


require_built()
if STANDIN:
    print("the stand-in does not fence")
    raise SystemExit(77)
with Cluster(gateway_args=("--cores", "0,0")) as lab_:
    lab_.lun(1, 2, lab_.file("free", "1M"))
    first, *_ = lab_.join()
    lab_.names = [None, xcopy.naa(first.ini, 1), xcopy.naa(first.ini, 2)]
    # A file promises no atomic writes.
    lab_.absent = {"WRITE ATOMIC(16)": (5, 0x2000)}
    failed = run(lab_)
raise SystemExit(failed)
