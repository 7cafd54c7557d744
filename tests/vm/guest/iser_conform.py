# SPDX-License-Identifier: BSD-3-Clause
"""libiscsi's suite over iSER beside the same over TCP: each of its suites has the same score."""
import collections
import re
import subprocess
import sys

import _initiator as ini
import _iser
from tap import Skip, case, need, run

SIZE = "256M"
SUITE_SECS = 240
# What libiscsi 1.20.0 itself cannot do over iSER, by suite: why.
LENGTH = "libiscsi's iSER takes the length that was expected for the length that came"
FREE = "libiscsi frees a refused command's buffer as what it is not (mended in 1.20.1)"
KNOWN = {
    "Inquiry": LENGTH, "ModeSense6": LENGTH, "Sanitize": LENGTH, "GetLBAStatus": FREE,
    "iSCSIResiduals": "commands that expect another length than their data's, which libiscsi's iSER does not send",
    "iSCSITMF": "looks at the queue that libiscsi has for TCP alone",
    "iSCSIcmdsn": "libiscsi's iSER takes a command without an answer for a connection that could not be made",
    "iSCSIdatasn": "about Data-Out PDUs, which RDMA Reads take the place of",
    "iSCSISendTargets": "waits for ever over TCP as well: it wants unknown keys rejected, and RFC 7143 6.2 answers them",
}

# suites and tests: in all, run, passed, failed
Score = collections.namedtuple("Score", "suites tests said")


def suites():
    out = ini.sh("iscsi-test-cu", "-l")
    return sorted({m[1] for m in re.finditer(r"^ALL\.(\w+)\.\w+$", out, re.M)})


def row(text, name):
    m = re.search(rf"^\s*{name}\s+(\d+)\s+(\d+)\s+(\S+)\s+(\d+)", text, re.M)
    return m.groups() if m else None


def score(url, name):
    """How many suites and tests there were, ran, passed and failed; what was skipped or wrong."""
    try:
        p = subprocess.run(["iscsi-test-cu", "-n", "-d", *(["-S"] if name == "Sanitize" else []), "-t", "ALL." + name, url],
                           env=ini.ENV, capture_output=True, text=True, errors="replace", timeout=SUITE_SECS,
                           stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return Score(None, None, ["no end"])
    text = p.stdout + p.stderr
    said = re.findall(r"^\s*(?:\[(?:SKIPPED|FAILED)\] .*|\d+\. \S+\.c:\d+\s+- .*)$", text, re.M)
    if p.returncode < 0:
        said.append(f"signal {-p.returncode}")
    return Score(row(text, "suites"), row(text, "tests"), sorted({line.strip() for line in said}))


def compare(name):
    def both(lab):
        if name in KNOWN:
            raise Skip(KNOWN[name])
        tcp, iser = (score(f"{scheme}://{portal}/{lab.iqn(1)}/1", name)
                     for scheme, portal in (("iscsi", lab.portal), ("iser", lab.iser)))
        print(f"{name}: {tcp.tests} over TCP, {iser.tests} over iSER", flush=True)
        need(tcp.tests, f"nothing was counted over TCP: {tcp.said}")
        need((tcp.suites, tcp.tests) == (iser.suites, iser.tests), f"over TCP {tcp}\nover iSER {iser}")
    return both


ini.start(_iser.MODULE)
with _iser.gateway() as lab_:
    _iser.add(lab_, 1, SIZE)
    lab_.op("logicalunit", "update", "--tid", 1, "--lun", 1, "--params", "thin_provisioning=1")
    for suite in suites():
        case(f"{suite} has the same score as over TCP")(compare(suite))
    failed = run(lab_)
sys.exit(failed)
