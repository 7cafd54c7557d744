#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""selftest and confirm with daemons of one's own: what they accept, what they notice, and what they leave behind."""
import errno
import os
import shutil
import sys
import threading

import _root
from _root import command, put
from tap import case, need, run

import lab as labs
from appliance import disks, initiator, record, selftest, slots, update

KEY = _root.key("key.pem")
TRIAL = "quiet lichgate.slot=b lichgate.try"


class Services:
    """What systemctl would say and do."""

    def __init__(self, lab):
        self.lab, self.states, self.restarts, self.forget = lab, {}, 0, False
        selftest.systemctl = self

    def __call__(self, verb, unit):
        class Done:
            stdout, returncode = self.states.get(unit, "active"), 0
        if verb == "restart":
            self.restarts += 1
            self.lab.gateway.kill()
            if self.forget:
                shutil.rmtree(self.lab.path("state/reservations"))
            self.lab.gateway.start()
        return Done


def untouched(lab):
    need([t["iqn"] for t in selftest.show("target")["targets"]] == [labs.IQN + "1"], "the scratch target is still there")
    need(len(selftest.show("portal")["portals"]) == 1, "a portal was left")
    need(lab.gateway.alive() and lab.mgmtd.alive(), "a daemon has ended")


def trial(cmdline=TRIAL, good="a"):
    put("proc/cmdline", cmdline)
    _root.grubenv(good=good, **{"try": ""})
    _root.hold("b", "2", KEY)
    record.keep("2", "b", "written")


@case("the self-test passes on daemons that work, and leaves no trace")
def _(lab, services):
    code, out, err = command("selftest")
    need(code == 0 and "persistent reservation" in out and "restart" not in out, out + err)
    need(services.restarts == 0, "restarted without being asked")
    untouched(lab)


@case("with --restart the reservation has to outlive the gateway")
def _(lab, services):
    code, out, err = command("selftest", "--restart")
    need(code == 0 and "outlived a restart" in out and services.restarts == 1, out + err)
    untouched(lab)
    kept, late = selftest.portal, [None, None]
    selftest.portal = lambda: late.pop() if services.restarts > 1 and late else kept()
    code, out, err = command("selftest", "--restart")
    selftest.portal = kept
    need(code == 0 and not late, "it does not wait for a portal that listens a little later: " + out)
    services.forget = True
    code, out, err = command("selftest", "--restart")
    services.forget = False
    need(code == 1 and "the persistent registration is gone" in out, out + err)
    untouched(lab)


@case("a scratch target that a power cut left behind is removed")
def _(lab, _services):
    lab.tadm("-m", "target", "-o", "new", "-t", "9", "-T", selftest.TARGET)
    need(command("selftest")[0] == 0)
    untouched(lab)


@case("what a self-test that was killed left behind goes at the next boot")
def _(lab, _services):
    lab.tadm("-m", "target", "-o", "new", "-t", "9", "-T", selftest.TARGET)
    put("proc/cmdline", "quiet lichgate.slot=a")
    _root.grubenv(good="a")
    need(command("confirm")[0] == 0)
    untouched(lab)
    kept = selftest.show
    selftest.show = lambda what: selftest.lgtadm("-m", "nothing")
    code, _out, err = command("confirm")
    selftest.show = kept
    need(code == 0, "a daemon that is not up takes the slot down: " + err)


@case("two self-tests at a time do not fail each other: the one of a version on trial decides")
def _(lab, _services):
    failed = []

    def one():
        try:
            selftest.check(10, False, lambda _what: None)
        except selftest.Failed as why:
            failed.append(str(why))

    two = [threading.Thread(target=one) for _ in range(2)]
    for thread in two:
        thread.start()
    for thread in two:
        thread.join()
    need(not failed, str(failed))
    untouched(lab)


@case("a self-test with the gateway set offline tries no login, and one with a unit that failed ends at once")
def _(lab, services):
    lab.tadm("-m", "system", "-o", "update", "-n", "State", "-v", "offline")
    code, out, _err = command("selftest")
    need(code == 0 and "no login is tried" in out, out)
    lab.tadm("-m", "system", "-o", "update", "-n", "State", "-v", "ready")
    services.states["lichgated.service"] = "failed"
    code, out, _err = command("selftest", "--wait", "60")
    need(code == 1 and "lichgated.service has failed" in out, out)
    services.states["lichgated.service"] = "activating"
    code, out, _err = command("selftest", "--wait", "0")
    need(code == 1 and "lichgated.service is activating after 0 s" in out, out)
    services.states.clear()


@case("without a portal over TCP the self-test makes one for itself")
def _(lab, _services):
    kept = selftest.portal
    selftest.portal = lambda: kept() if len(selftest.show("portal")["portals"]) > 1 else None
    selftest.LOOPBACK = f"127.0.0.1:{labs.free_port()}"
    for left in (False, True):
        if left:
            # By a power cut.
            lab.tadm("-m", "portal", "-o", "new", "-P", f"portal={selftest.LOOPBACK},tpgt={selftest.GROUP}")
        code, out, _err = command("selftest")
        need(code == 0 and "persistent reservation" in out, out)
        untouched(lab)
    selftest.portal = kept


@case("portals of which none listens are a failure, after the wait")
def _(lab, _services):
    real = selftest.show
    selftest.show = lambda what: {"portals": [{**one, "trouble": "no such address"} for one in real(what)["portals"]]} \
        if what == "portal" else real(what)
    code, out, _err = command("selftest", "--wait", "0")
    selftest.show = real
    need(code == 1 and "no portal listens (no such address) after 0 s" in out, out)
    untouched(lab)


@case("data that comes back changed is noticed")
def _(lab, _services):
    once = initiator.Session.once

    def lying(self, cdb, data, expect, lun):
        got = once(self, cdb, data, expect, lun)
        return got[:100] + b"?" + got[101:] if cdb[0] == selftest.READ_10 else got

    initiator.Session.once = lying
    code, out, _err = command("selftest")
    initiator.Session.once = once
    need(code == 1 and "what was read is not what was written" in out, out)
    untouched(lab)


@case("confirm keeps a version on trial that works, with a restart of the gateway in between")
def _(lab, services):
    trial()
    before = services.restarts
    code, out, err = command("confirm")
    need(code == 0 and "is the good one from now on" in out, out + err)
    need(slots.environment() == {"good": "b", "try": "", "starts": ""} and services.restarts == before + 1)
    need(record.last() == {"version": "2", "slot": "b", "state": "kept", "why": ""}, str(record.last()))
    slots.set_environment(starts="2")
    code, out, err = command("confirm")
    need(code == 0 and out == "Slot b is the good one.\n" and services.restarts == before + 1, out + err)
    need(slots.environment()["starts"] == "", "GRUB counts a start that was a success")
    untouched(lab)


@case("confirm waits for whoever changes slots")
def _(_lab, _services):
    trial("quiet lichgate.slot=a")
    with update.locked():
        other = threading.Thread(target=command, args=["confirm"])
        other.start()
        other.join(1)
        need(other.is_alive() and record.last()["state"] == "written", str(record.last()))
    other.join()
    need(record.last()["state"] == "refused", str(record.last()))


@case("confirm does not keep one that fails, and says why; the good slot knows")
def _(lab, services):
    trial()
    services.states["lichgated.service"] = "failed"
    code, out, err = command("confirm")
    need(code == 1 and "lichgated.service has failed" in out and "is not kept" in err, out + err)
    need(slots.environment() == {"good": "a", "try": ""} and slots.manifest("b"), str(slots.environment()))
    put("proc/cmdline", "quiet lichgate.slot=a")
    services.states.clear()
    need(command("confirm")[0] == 0 and record.last()["state"] == "refused", str(record.last()))
    need(slots.manifest("a") and not slots.manifest("b"), "a version that was refused can be gone back to")
    need("last update: version 2, refused: lichgated.service has failed" in command("status")[1])


@case("an update that never came up is told as such by the good slot, but not while it is still to be tried")
def _(_lab, _services):
    trial("quiet lichgate.slot=a")
    slots.set_environment(**{"try": "b"})
    command("confirm")
    need(record.last()["state"] == "written" and slots.manifest("b"), str(record.last()))
    slots.set_environment(**{"try": ""})
    command("confirm")
    need(not slots.manifest("b"), "a version that did not come up can be gone back to")
    need(record.last() == {"version": "2", "slot": "b", "state": "refused", "why": "it did not come up"}, str(record.last()))


@case("an update whose success a power cut kept from being recorded is a success, and its slot and the other stay")
def _(_lab, _services):
    # The same version again, so that the slots differ in nothing but their names.
    trial("quiet lichgate.slot=b", good="b")
    _root.hold("a", "2", KEY)
    need(command("confirm")[0] == 0)
    need(record.last() == {"version": "2", "slot": "b", "state": "kept", "why": ""}, str(record.last()))
    need(slots.manifest("a") and slots.manifest("b"), "a slot was emptied")
    _root.hold("a", "1", KEY)


@case("a record of the last update that another version wrote is passed over")
def _(_lab, _services):
    trial()
    for text in ('{"version": "2", "state": "written", "why": ""}', "[2]", "2"):
        put("var/lib/appliance/update.json", text.encode())
        _root.grubenv(good="a", **{"try": ""})
        code, out, err = command("confirm")
        need(code == 0 and slots.environment()["good"] == "b", out + err)
        code, out, err = command("status")
        need(code == 0 and "last update" not in out, out + err)


@case("what a power cut let an update only announce is not told of the version that was tried")
def _(_lab, _services):
    trial()
    record.keep("3", "b", "unfinished")
    need(command("confirm")[0] == 0)
    need(record.last() == {"version": "2", "slot": "b", "state": "kept", "why": ""}, str(record.last()))


@case("a state partition without room does not have the good slot counted out")
def _(_lab, _services):
    trial("quiet lichgate.slot=a")
    slots.set_environment(starts="2")
    kept = disks.put

    def full(name, _content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    disks.put = full
    code, out, err = command("confirm")
    disks.put = kept
    need(code == 1 and "update.json: No space left" in err, out + err)
    need(slots.environment()["starts"] == "", "GRUB counts a start that was a success")


@case("a slot that runs because the good one is empty becomes the good one without a restart of the gateway")
def _(_lab, services):
    trial("quiet lichgate.slot=b")
    before = services.restarts
    need(command("confirm")[0] == 0)
    need(slots.environment()["good"] == "b" and services.restarts == before)


labs.require_built()
_root.appliance(KEY)
with labs.Lab() as here:
    os.environ.update({k: here.env[k] for k in ("LGT_RUN_DIR", "LGT_STATE_DIR", "TGT_IPC_SOCKET")})
    os.environ["PATH"] = labs.BUILD + ":" + os.environ["PATH"]
    here.target(1)
    failed = run(here, Services(here))
sys.exit(failed)
