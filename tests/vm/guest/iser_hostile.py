# SPDX-License-Identifier: BSD-3-Clause
"""
An initiator over RDMA that lies, floods and leaves: its connection ends, or it gets an answer, and nobody else notices.

LGT_LAB=lio has the kernel's own target attacked instead, for a look at the reference.
"""
import json
import os
import re
import subprocess
import sys
import time

import _initiator as ini
import _lio
import _rdma
from lab import SCALE, Lab, wait_for
from tap import case, need, run

ONLY = sys.argv[1] if sys.argv[1:] else ""
LIO = os.environ.get("LGT_LAB") == "lio"
PORTAL = _rdma.ADDRESS + ":3260"
SIZE = 64 << 20
STEADY_LBA = 65536
PAUSE_MS = 5000 * SCALE

ENDED, ALIVE, LEFT, DONE, REFUSED = "ended", "alive", "left", "done", "refused"
# What may become of an attack: the first words that are allowed, and others that must follow. The first match counts.
EXPECT = (
    (r"login_twice", {ENDED, ALIVE}, ""),
    (r"(login|later)_", {ENDED}, ""),
    (r"\w+_private_data|small_segments|many_unexpected", {ALIVE}, ""),
    (r"takes_no_reads", {REFUSED, ALIVE}, ""),
    (r"leave_|disconnect_in_|slow_never_confirm", {LEFT}, ""),
    (r"zero_segments|digests|hello_wanted|two_logins_at_once", {ENDED, ALIVE}, ""),
    (r"\w+_first|endless_keys|rdma_extensions_no", {ENDED}, ""),
    (r"(read|write)_(honest|both_sides)", {ALIVE}, "status=0$"),
    (r"(read|write)_(no_stag|bad_stag|stale_stag|other_side|too_small|before|behind|one_byte_on|wraps|no_right)",
     {ENDED, ALIVE}, r"^(?!.*status=0\b)"),
    (r"write_partly", {DONE}, "write=0 read=0 equal"),
    (r"data_out_(right|half)", {DONE, ENDED, ALIVE}, ""),
    (r"slow_no_data_out", {ENDED, ALIVE}, ""),
    (r"guess_|slow_", {ENDED}, ""),
    (r"", {ENDED, ALIVE}, ""),
)


class Steady:
    """A session that works on the same LUN all the while."""

    def __init__(self, target):
        self.log = open("/tmp/steady", "w+", encoding="ascii")
        self.proc = subprocess.Popen(target.argv("steady", STEADY_LBA), stdout=self.log, stderr=self.log)
        wait_for(self.turns, 30 * SCALE, "the steady session works")

    def said(self):
        with open("/tmp/steady", encoding="ascii") as f:
            return f.read()

    def last(self):
        found = re.findall(r"turns=(\d+) worst_ms=(\d+)", self.said())
        return tuple(map(int, found[-1])) if found else (0, 0)

    def turns(self):
        need(self.proc.poll() is None, f"exit {self.proc.returncode}: {self.said()[-500:]}")
        return self.last()[0]

    def check(self):
        self.turns()
        need(self.last()[1] < PAUSE_MS, f"a pause of {self.last()[1]} ms")

    def goes_on(self):
        before = self.turns()
        wait_for(lambda: self.turns() > before, PAUSE_MS / 1000, "the steady session goes on")
        self.check()

    def end(self):
        self.proc.terminate()
        need(self.proc.wait(30 * SCALE) == 0, self.said()[-500:])
        print(self.said().splitlines()[-2])


class Gateway:
    """Ours: one target with one LUN, over iSER beside TCP."""

    def __init__(self, lab):
        self.lab = lab
        self.iqn = lab.iqn(1)
        lab.op("portal", "new", "--param", f"portal={PORTAL},transport=iser")
        lab.target(1)
        lab.lun(1, 1, lab.file("disk", SIZE))
        self.pid = lab.gateway.proc.pid
        self.port = 20000
        self.fresh = self.settled()

    def settled(self):
        """What a gateway has that knows its device: each core makes a completion queue for its first connection."""
        subprocess.run(self.argv("leave_at_once"), stdout=subprocess.DEVNULL, check=True)
        wait_for(lambda: not self.in_use(), 20 * SCALE, "the first connections have gone")
        return _rdma.resources()

    def argv(self, *words):
        return ["raw_iser", PORTAL, self.iqn, "1", *map(str, words)]

    def ports(self):
        """The first of some that no connection has had: what the log says of one peer, is about one connection."""
        self.port += 256
        return self.port

    def chatter(self):
        """Connections about which the log has more than one warning."""
        said = {}
        with open(self.lab.gateway.log, encoding="utf-8") as f:
            for line in f:
                m = re.search(r": (?:warning|error): .* peer=(\S+)", line)
                if m:
                    said.setdefault(m.group(1), []).append(line)
        return ["".join(lines) for lines in said.values() if len(lines) > 1]

    def check(self):
        need(self.lab.gateway.alive() and self.lab.gateway.proc.pid == self.pid, "the gateway has ended")

    def slowest(self):
        """Turns of a core that took longest, for who looks into a pause."""
        with open(self.lab.gateway.log, encoding="utf-8") as f:
            turns = [line.partition("too long ")[2].strip() for line in f if "a turn took too long" in line]
        return sorted(turns, key=lambda t: -int(re.search(r"ms=(\d+)", t).group(1)))[:3]

    def cores(self):
        return json.loads(self.lab.op("system", "stat", "--name", "cores", "--json"))["cores"]

    def in_use(self):
        return [c for c in self.cores() if any(u["used"] for u in c["usage"].values()) or c["placed"] or
                c["counters"]["sessions"] or c["counters"]["conns_live"]]

    def known(self):
        """Keys of its memory registrations, and where its memory lies."""
        keys, places = [], []
        for row in json.loads(ini.sh("rdma", "-j", "-d", "resource", "show", "mr")):
            if row.get("pid") == self.pid:
                keys += [int(str(row[k]), 16) for k in ("rkey", "lkey") if k in row]
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as f:
            for line in f:
                span, rights = line.split()[:2]
                low, high = (int(x, 16) for x in span.split("-"))
                if rights.startswith("rw") and high - low >= 1 << 20:
                    places.append(low)
        return keys, places


class Reference:
    """LIO, which says nothing of the kind and is not asked."""

    def __init__(self):
        self.iqn = "iqn.2026-11.org.example:lio"
        _lio.start()
        _lio.target(self.iqn, [None, _lio.disk(1, SIZE)], {PORTAL: True})
        self.fresh = _rdma.resources()

    argv = Gateway.argv

    def ports(self):
        return 0

    def chatter(self):
        return []

    def check(self):
        pass

    def in_use(self):
        return []

    def slowest(self):
        return []

    def known(self):
        return [], []


def outcome(line):
    m = re.match(r"(\w+): (\w+) connections=(\d+) ms=\d+ ?(.*)", line)
    need(m, f"no outcome: {line}")
    return m.group(1), m.group(2), int(m.group(3)), m.group(4)


def wrong(line):
    """Why the outcome is not one that is allowed, or None."""
    name, word, _, rest = outcome(line)
    _, words, more = next(e for e in EXPECT if re.match(e[0], name))
    if word not in words or (more and not re.search(more, rest)) or re.search(r"overwritten|unanswered|differs|no logout", rest):
        return line
    return None


def attack(target, *words):
    """One attack and what it did to the target: a list of what is wrong."""
    p = subprocess.run(target.argv("--port", target.ports(), *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=200 * SCALE, check=False)
    line = next((x for x in p.stdout.splitlines() if x.startswith(words[-1] + ":")), "")
    print("   ", line or p.stdout, flush=True)
    if not line:
        return [f"{words[-1]}: exit {p.returncode}: {p.stdout}"]
    target.check()
    return [wrong(line)] if wrong(line) else []


def names(target, pattern):
    """Of the attacks that this run is about."""
    every = subprocess.run(target.argv("list"), stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return [name for name in every if re.match(pattern, name) and re.match(ONLY, name)]


def attack_all(target, pattern):
    found = []
    for name in names(target, rf"(?!slow_|hold_|guess_)({pattern})"):
        found += attack(target, name)
        target.steady.check()
    target.steady.goes_on()
    need(not found, "\n".join(found))
    need(not target.chatter(), "\n".join(target.chatter()))


@case("messages of a wrong shape in place of a login")
def _(target):
    attack_all(target, r"login_(?!twice)")


@case("messages of a wrong shape in a session")
def _(target):
    attack_all(target, r"later_")


@case("odd private data, odd keys, and logins that are left")
def _(target):
    attack_all(target, r"\w+_private_data|takes_|leave_|endless|two_logins|login_twice|\w+_segments|rdma_|hello_|many_|digests|"
                       r"\w+_first")


@case("reads into memory that is not there, or not theirs")
def _(target):
    attack_all(target, r"read_")


@case("writes from memory that is not there, or not theirs")
def _(target):
    attack_all(target, r"write_")


@case("data, numbers and tags out of order")
def _(target):
    attack_all(target, r"stray_|data_out|immediate_|one_tag|number_|opcode_|after_")


@case("floods")
def _(target):
    attack_all(target, r"flood_")


@case("initiators that go in the middle of 32 reads or writes")
def _(target):
    attack_all(target, r"disconnect_")


@case("initiators that are killed in the middle of 32 reads or writes")
def _(target):
    for name in names(target, "hold_"):
        for turn in range(3):
            p = subprocess.Popen(target.argv("--port", target.ports(), name), stdout=subprocess.PIPE, text=True)
            need(p.stdout.readline() == "armed\n", name)
            time.sleep(0.3 * turn)
            p.kill()
            p.communicate()
            target.check()
    target.steady.goes_on()
    need(not target.chatter(), "\n".join(target.chatter()))


@case("RDMA of the initiator to the target's memory")
def _(target):
    keys, places = target.known()
    keys = [0, 1, 0x1234, *keys][:8]
    places = [0, 0x1000, *places][:4]
    words = [x for k in keys for x in ("--key", k)] + [x for at in places for x in ("--place", at)]
    found = []
    for name in names(target, "guess_"):
        found += attack(target, *words, name)
    target.steady.goes_on()
    need(not found, "\n".join(found))


@case("initiators that say nothing, never finish, never listen, or have gone without a word")
def _(target):
    slow = [subprocess.Popen(target.argv("--port", target.ports(), name), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True) for name in names(target, "slow_")]
    found = []
    for p in slow:
        out = p.communicate(timeout=250 * SCALE)[0]
        print("   ", out.strip(), flush=True)
        line = (out.splitlines() or ["nothing: none connections=0 ms=0"])[-1]
        found += [wrong(line)] if wrong(line) else []
        target.check()
    target.steady.goes_on()
    need(not found, "\n".join(found))
    need(not target.chatter(), "\n".join(target.chatter()))


@case("afterwards nothing is in use that was not at the start")
def _(target):
    target.steady.end()
    print(*target.slowest(), sep="\n")
    wait_for(lambda: not target.in_use(), 20 * SCALE, "the gateway's pools are full again")
    wait_for(lambda: _rdma.resources() == target.fresh, 20 * SCALE,
             f"RDMA resources: {_rdma.resources()} after, {target.fresh} before")
    target.check()


def main():
    _rdma.link()
    if LIO:
        target = Reference()
        target.steady = Steady(target)
        return run(target)
    with Lab() as lab:
        target = Gateway(lab)
        target.steady = Steady(target)
        return run(target)


raise SystemExit(main())
