# SPDX-License-Identifier: BSD-3-Clause
"""Sixteen iSER sessions at once over two cores of the gateway, all with verified I/O; what is counted of them."""
import _initiator as ini
import _iser
from lab import wait_for
from tap import Skip, case, need, run

MIB = 1 << 20
TIDS = range(1, 17)


def need_gateway():
    if _iser.REFERENCE:
        raise Skip("the reference does not tell")


@case("sixteen sessions log in at once")
def _(lab):
    ini.discover(lab.iser, "iser")
    ini.sh("iscsiadm", "-m", "node", "-I", "iser", "--login", timeout=60)
    for tid in TIDS:
        wait_for(lambda tid=tid: ini.disk_of(lab.iqn(tid), "iser"), 120, f"the disk of target {tid}")


@case("both cores of the gateway have some of them")
def _(lab):
    need_gateway()
    rows = _iser.sessions(lab)
    need(len(rows) == len(TIDS) and all(row["xport"] == "iser" for row in rows), str(rows))
    by_core = [[row["core"] for row in rows].count(core) for core in (0, 1)]
    need(min(by_core) >= 4, f"sessions by core: {by_core}")


@case("all of them write and verify at the same time")
def _(lab):
    argv = [*_iser.FIO, "--rw=randwrite", "--bssplit=512/20:4k/50:64k/20:256k/10", "--size=8m", "--io_size=3m",
            "--iodepth=8"]
    for tid in TIDS:
        argv += [f"--name=t{tid}", f"--filename={ini.disk_of(lab.iqn(tid), 'iser')}"]
    ini.sh(*argv, timeout=60)
    need(not ini.kernel_said(r"I/O error|conn error"), ini.sh("dmesg")[-2000:])


@case("each session has been counted, and logout takes all of them away")
def _(lab):
    need_gateway()
    for row in _iser.sessions(lab):
        # One error: the attention that each session is told of first.
        need(row["stats"]["wr_bytes"] >= 3 * MIB and row["stats"]["rd_bytes"] >= 3 * MIB and row["stats"]["errors"] == 1,
             str(row))
    ini.sh("iscsiadm", "-m", "node", "-I", "iser", "--logout", timeout=60)
    wait_for(lambda: not _iser.sessions(lab), 60, "no session is left")


ini.start(_iser.MODULE)
with _iser.gateway("--cores", "0,1") as lab_:
    for t in TIDS:
        _iser.add(lab_, t, 16 * MIB)
    failed = run(lab_)
raise SystemExit(failed)
