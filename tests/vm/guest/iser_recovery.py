# SPDX-License-Identifier: BSD-3-Clause
"""What an iSER initiator lives through without an I/O error: a gateway that is killed; and what that leaves: nothing."""
import time

import _initiator as ini
import _iser
from tap import Skip, case, need, run

MIB = 1 << 20


@case("kill -9 of the gateway during verified writes: I/O goes on without an error")
def _(lab):
    if _iser.REFERENCE:
        raise Skip("the reference is the kernel")

    def kill():
        lab.gateway.kill()
        time.sleep(1)
        lab.start()
    _iser.during(_iser.login(lab, 1), kill)
    need(ini.kernel_said(r"detected conn error"), "the initiator noticed nothing: " + ini.sh("dmesg")[-2000:])


@case("kill -9 leaves nothing of the gateway in the kernel")
def _(lab):
    if _iser.REFERENCE:
        raise Skip("the reference is the kernel")
    _iser.logout(lab, 1)
    with_gateway = _iser.quiet_resources()
    lab.gateway.kill()
    without = _iser.quiet_resources()
    need(without["ctx"] == 0 and without["mr"] == 0, str(without))
    lab.start()
    again = _iser.quiet_resources()
    # A core's completion queue is made with its first connection.
    need(all(again[k] == n for k, n in with_gateway.items() if k != "cq"), f"{with_gateway} became {again}")


ini.start(_iser.MODULE)
with _iser.gateway() as lab_:
    _iser.add(lab_, 1, 128 * MIB)
    ini.discover(lab_.iser, "iser")
    failed = run(lab_)
raise SystemExit(failed)
