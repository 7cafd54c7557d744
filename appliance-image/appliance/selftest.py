# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance selftest: do the daemons serve? A login over TCP to a scratch target in memory, a write, a read and a
persistent reservation; with --restart the gateway is restarted and has to know the reservation afterwards.

The scratch target is for one initiator whose name nobody can guess, and for one self-test at a time. It is removed at the
end, and one that a power cut left behind is removed first, and at each boot. The configuration of users is not touched.
"""
import contextlib
import json
import os
import secrets
import struct
import subprocess
import time

from . import initiator, paths, tools

TARGET = "iqn.2026-11.localhost.lichgate:selftest"
DAEMONS = ("lichgate-mgmtd.service", "lichgated.service")
LUN_SIZE = 1 << 20
BLOCKS = 8
SIZE = BLOCKS * 512
KEY = 0x4C49434847415445
WRITE_10, READ_10, PR_IN, PR_OUT = 0x2A, 0x28, 0x5E, 0x5F
READ_KEYS, READ_RESERVATION, REGISTER, RESERVE = 0, 1, 0, 1
EXCLUSIVE_ACCESS = 3
LOOPBACK = "127.0.0.1:3260"
# The portal group that tells the self-test's portal from one of the user's.
GROUP = 65535
PAUSE = 0.5


class Failed(Exception):
    """The first thing that did not work, in one sentence."""


def add_arguments(parser):
    parser.add_argument("--wait", type=int, default=10, metavar="SECS", help="for the daemons to come up (default: 10)")
    parser.add_argument("--restart", action="store_true",
                        help="restart the gateway in between: every initiator logs in again")


def systemctl(*words):
    return subprocess.run(["systemctl", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def lgtadm(*words):
    done = subprocess.run(["lgtadm", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"lgtadm {' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def show(what):
    return json.loads(lgtadm("--json", "-m", what, "-o", "show"))


def not_up():
    """What keeps the daemons from being up, or None."""
    for unit in DAEMONS:
        state = systemctl("is-active", unit).stdout.strip()
        if state == "failed":
            raise Failed(f"{unit} has failed")
        if state != "active":
            return f"{unit} is {state or 'unknown'}"
    try:
        gateway = show("system")["system"]["gateway"]
    except Failed as e:
        return str(e)
    return None if gateway["connected"] and gateway["configured"] else "the gateway has no configuration"


def wait_for(missing, secs):
    """Until missing() finds nothing that is missing."""
    end = time.monotonic() + secs
    while True:
        why = missing()
        if why is None:
            return
        if time.monotonic() >= end:
            raise Failed(f"{why} after {secs} s")
        time.sleep(PAUSE)


def portal():
    """Where a portal over TCP listens, as seen from here, or None."""
    for one in show("portal")["portals"]:
        if one["transport"] == "tcp" and not one["trouble"]:
            return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(one["host"], one["host"]), one["port"]
    return None


def deaf():
    """Why none of the portals listens, or None. Without any it is not the gateway's fault."""
    troubles = [one["trouble"] for one in show("portal")["portals"]]
    return f"no portal listens ({troubles[0]})" if troubles and all(troubles) else None


def clean():
    """Removes what a self-test makes."""
    for target in show("target")["targets"]:
        if target["iqn"] == TARGET:
            lgtadm("-m", "target", "-o", "delete", "-t", str(target["tid"]), "--force")
    for one in show("portal")["portals"]:
        if (f"{one['host']}:{one['port']}", one["transport"], one["tpgt"]) == (LOOPBACK, "tcp", GROUP):
            lgtadm("-m", "portal", "-o", "delete", "-P", f"portal={LOOPBACK}")


def alone():
    """One self-test at a time has the scratch target."""
    return tools.locked(paths.SELFTEST_LOCK)


@contextlib.contextmanager
def scratch(name):
    """A target with a LUN in memory for the initiator of that name."""
    tids = {target["tid"] for target in show("target")["targets"]}
    tid = str(next(n for n in range(65000, 0, -1) if n not in tids))
    try:
        if portal() is None:
            lgtadm("-m", "portal", "-o", "new", "-P", f"portal={LOOPBACK},tpgt={GROUP}")
        lgtadm("-m", "target", "-o", "new", "-t", tid, "-T", TARGET)
        lgtadm("-m", "logicalunit", "-o", "new", "-t", tid, "-l", "1", "-E", "mem", "-S", f"size={LUN_SIZE}")
        lgtadm("-m", "target", "-o", "bind", "-t", tid, "-Q", name)
        yield
    finally:
        clean()


def login(name, port_id):
    address = portal()
    if address is None:
        raise Failed("no portal over TCP listens")
    return initiator.Session(address, TARGET, name, port_id)


def write_10(lba):
    return struct.pack(">BBIBHB", WRITE_10, 0, lba, 0, BLOCKS, 0)


def pr_out(action, kind, key, new_key, through_power_loss):
    cdb = struct.pack(">BBBHIB", PR_OUT, action, kind, 0, 24, 0)
    return cdb, struct.pack(">QQIBBH", key, new_key, 0, through_power_loss, 0, 0)


def pr_in(session, action):
    return session.command(struct.pack(">BBBIHB", PR_IN, action, 0, 0, 256, 0), expect=256)


def write_read(session, lba):
    data = os.urandom(SIZE)
    session.command(write_10(lba), data)
    if session.command(struct.pack(">BBIBHB", READ_10, 0, lba, 0, BLOCKS, 0), expect=SIZE) != data:
        raise Failed("what was read is not what was written")


def reserve(session):
    session.command(*pr_out(REGISTER, 0, 0, KEY, 1))
    session.command(*pr_out(RESERVE, EXCLUSIVE_ACCESS, KEY, 0, 0))


def reserved(session, stranger):
    """The key is there, the reservation is, its holder may write and nobody else."""
    for action, what in ((READ_KEYS, "registration"), (READ_RESERVATION, "reservation")):
        got = pr_in(session, action)
        if struct.pack(">Q", KEY) not in got[8:8 + struct.unpack_from(">I", got, 4)[0]]:
            raise Failed(f"the persistent {what} is gone")
    write_read(session, 64)
    try:
        stranger.command(write_10(64), bytes(SIZE))
    except initiator.Status as said:
        if said.status == initiator.RESERVATION_CONFLICT:
            return
        raise
    raise Failed("an initiator without the reservation could write")


def check(wait, restart, tell):
    """Raises Failed, or calls tell with each thing that worked."""
    wait_for(not_up, wait)
    tell("both daemons are up and the gateway has its configuration")
    with alone():
        serves(wait, restart, tell)


def serves(wait, restart, tell):
    clean()
    if not show("system")["system"]["ready"]:
        tell("the gateway is set offline: no login is tried")
        return
    wait_for(deaf, wait)
    name = f"iqn.2026-11.localhost.lichgate:selftest-{secrets.token_hex(16)}"
    try:
        with scratch(name):
            with login(name, 1) as one, login(name, 2) as two:
                tell("login over TCP")
                write_read(one, 0)
                tell("write and read")
                reserve(one)
                reserved(one, two)
                tell("persistent reservation")
            if restart:
                if systemctl("restart", "lichgated.service").returncode:
                    raise Failed("the gateway cannot be restarted")
                wait_for(not_up, wait)
                # Its old sockets may live a moment longer than it did.
                wait_for(lambda: None if portal() else "no portal over TCP listens", wait)
                with login(name, 1) as one, login(name, 2) as two:
                    reserved(one, two)
                tell("the reservation outlived a restart of the gateway")
    except (OSError, initiator.Failed) as e:
        raise Failed(f"the scratch target: {e}") from e


def run(args):
    try:
        check(args.wait, args.restart, lambda what: print(f"ok: {what}", flush=True))
    except Failed as why:
        print(f"failed: {why}", flush=True)
        return 1
    return 0
