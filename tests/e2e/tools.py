#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The initiator tools that people have, against a file, a memory and a null LUN."""
# runner: timeout=120
import re

import _path  # noqa: F401
from lab import STANDIN, Lab, require_built
from tap import Skip, case, need, run

SIZE = 64 << 20
# LUN number → what it is
LUNS = {1: "file", 2: "mem", 3: "null"}
# VPD pages; libiscsi 1.19 gives up on others.
KNOWN_PAGES = {"00", "80", "83", "b0", "b1", "b2"}


def setup(lab):
    lab.target(1)
    lab.lun(1, 1, lab.file("disk", SIZE))
    if not STANDIN:
        lab.lun(1, 2, "memory", "mem", "--bsopts", f"size={SIZE}")
        lab.lun(1, 3, "nothing", "null", "--bsopts", f"size={SIZE}")


def luns():
    return {1: "file"} if STANDIN else LUNS


@case("iscsi-ls -s lists the target and each LUN")
def _(lab):
    out = lab.run("iscsi-ls", "-s", lab.portal_url()).stdout
    need(f"Target:{lab.iqn(1)} Portal:{lab.portal}" in out, out)
    for lun in luns():
        need(re.search(rf"Lun:{lun}\s+Type:DIRECT_ACCESS", out), out)


@case("iscsi-inq: standard data and each VPD page that it can read")
def _(lab):
    for lun, kind in luns().items():
        out = lab.run("iscsi-inq", lab.url(1, lun)).stdout
        need("Peripheral Device Type:DIRECT_ACCESS" in out, out)
        pages = lab.run("iscsi-inq", "-e", "1", "-c", "0", lab.url(1, lun)).stdout
        codes = re.findall(r"Page:0x([0-9a-fA-F]{2})", pages)
        need(KNOWN_PAGES <= set(codes), f"{kind}: not all VPD pages in {pages}")
        for page in KNOWN_PAGES:
            lab.run("iscsi-inq", "-e", "1", "-c", str(int(page, 16)), lab.url(1, lun))


@case("iscsi-readcapacity16 tells the size")
def _(lab):
    for lun, kind in luns().items():
        out = lab.run("iscsi-readcapacity16", lab.url(1, lun)).stdout
        need(re.search(rf"Total size:{SIZE}\b", out), f"{kind}: {out}")


@case("iscsi-perf reads each LUN without an error")
def _(lab):
    for lun, kind in luns().items():
        for extra in ([], ["-r"]):
            p = lab.run("iscsi-perf", "-t", "2", "-b", "8", "-m", "32", *extra, lab.url(1, lun))
            need("iops average" in p.stdout and "error" not in p.stderr.lower(), f"{kind}: {p.stdout}{p.stderr}")


@case("IPv6 and IPv4 reach the same portal")
def _(lab):
    if STANDIN:
        raise Skip("the stand-in listens on one address")
    with Lab(portal=f"[::]:{lab.port + 1 if lab.port < 65535 else lab.port - 1}") as six:
        six.target(1)
        six.lun(1, 1, six.file("disk", SIZE))
        port = six.portal.rpartition(":")[2]
        for host in ("[::1]", "127.0.0.1"):
            out = six.run("iscsi-ls", "-s", f"iscsi://{host}:{port}").stdout
            need(six.iqn(1) in out and "Lun:1" in out, out)


@case("an initiator that no rule admits gets in nowhere")
def _(lab):
    lab.target(2, acl=None)
    lab.lun(2, 1, lab.file("other", SIZE))
    need(lab.iqn(2) not in lab.run("iscsi-ls", lab.portal_url(), check=False).stdout, "discovery shows it")
    need(lab.run("iscsi-inq", lab.url(2, 1), check=False).returncode, "login succeeded")
    lab.op("target", "bind", "--tid", 2, "--initiator-address", "127.0.0.0/8")
    lab.run("iscsi-inq", lab.url(2, 1))


require_built()
with Lab() as lab_:
    setup(lab_)
    failed = run(lab_)
raise SystemExit(failed)
