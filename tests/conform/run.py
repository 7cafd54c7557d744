#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""libiscsi's conformance suite, one process a test, so that a test that hangs is one failure and not the end.

    run.py --table [--only REGEX] [--kind file|thin|mem]...   all tests, as a table and a sum
    run.py --tap --only REGEX                            as lines for the runner

The tests of SANITIZE overwrite the whole LUN several times: they have a LUN of their own size.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from lab import SCALE, STANDIN, Lab, require_built

TEST_SECS = 60
# Before each test the suite clears reservations, and calls it a skip where there are none to clear.
PREPARATION = "PERSISTENT RESERVE IN is not implemented"
SIZE = "1G"
SANITIZE_SIZE = "64M"
# Tests of the suite that no target can pass: the assertion that fails, and why. One that fails otherwise still counts.
KNOWN = {
    "iSCSITMF.LUNResetSimpleAsync": (
        r"reconnect_succeeded,1", "libiscsi 1.19 looks for the answer before it could have come"),
    "Sanitize.Reset": (r"_r,0", "wants a sanitize operation to take more than four seconds"),
}
# What a LUN lacks leaves the rest of these tests to be done.
PART = {
    "Sanitize.BlockErase": r"GET_?LBA_?STATUS is not implemented",
    "Sanitize.Readonly": r"SANITIZE \w+ is not implemented",
    "Sanitize.Reservations": r"SANITIZE \w+ is not implemented",
}
ORDER = ("passed", "failed", "hung", "skipped", "empty")

Outcome = collections.namedtuple("Outcome", "name state text")


def names():
    """FAMILY.SUITE.TEST, each suite once: the list repeats them under other families."""
    out = subprocess.run(["iscsi-test-cu", "-l"], capture_output=True, text=True, check=True).stdout
    return [line.split(".", 1)[1] for line in out.split() if re.match(r"ALL\.[^.]+\.[^.]+$", line)]


def summary(text, row):
    m = re.search(rf"^\s*{row}\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", text, re.M)
    return [int(n) for n in m.groups()] if m else None


def outcome(name, text, code):
    tests, asserts = summary(text, "tests"), summary(text, "asserts")
    if not tests or tests[1] != 1 or code and not tests[3] + asserts[3]:
        return Outcome(name, "failed", f"exit {code}\n{text}")
    if tests[3] or asserts[3]:
        wrong = re.findall(r"^\s*\d+\. \S+\.c:\d+\s+- (.*)$", text, re.M)
        pattern, why = KNOWN.get(name, ("(?!)", ""))
        if wrong and all(re.search(pattern, line) for line in wrong):
            return Outcome(name, "skipped", why)
        return Outcome(name, "failed", text)
    said = [line for line in re.findall(r"\[SKIPPED\]\s*(.*)", text)
            if (name.startswith("Pr") or not line.startswith(PREPARATION))
            and not re.match(PART.get(name, "(?!)"), line)]
    if said:
        return Outcome(name, "skipped", said[0].strip())
    return Outcome(name, "passed" if asserts[0] else "empty", text)


def run_one(lab, name):
    sanitize = is_sanitize(name)
    try:
        p = subprocess.run(["iscsi-test-cu", "-n", "-d", *(["-S"] if sanitize else []), "-t", "ALL." + name,
                            lab.url(1, 2 if sanitize else 1)], capture_output=True,
                           text=True, errors="replace", timeout=TEST_SECS * SCALE, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired as t:
        return Outcome(name, "hung", (t.stdout or b"").decode("utf-8", "replace"))
    return outcome(name, p.stdout + p.stderr, p.returncode)


def is_sanitize(name):
    return name.startswith("Sanitize.")


def one_lun(lab, kind, n, size):
    if kind in ("file", "thin"):
        lab.lun(1, n, lab.file(f"disk{n}", size))
        if kind == "thin":
            lab.op("logicalunit", "update", "--tid", 1, "--lun", n, "--params", "thin_provisioning=1")
    else:
        lab.lun(1, n, kind, kind, "--bsopts", f"size={size.lower()}")


def lun(lab, kind, wanted=()):
    lab.target(1)
    one_lun(lab, kind, 1, SIZE)
    if any(is_sanitize(name) for name in wanted):
        one_lun(lab, kind, 2, SANITIZE_SIZE)


def run_kind(kind, wanted, say):
    with Lab() as lab:
        lun(lab, kind, wanted)
        done = []
        for name in wanted:
            done.append(run_one(lab, name))
            say(kind, done[-1])
            if not lab.gateway.alive():
                lab.gateway.stop()
                lab.start()
                if STANDIN:
                    lun(lab, kind, wanted)
    return done


def say_tap(kind, o):
    if o.state in ("failed", "hung"):
        print(o.text)
        print(f"not ok {kind}/{o.name}{': no end' if o.state == 'hung' else ''}", flush=True)
    elif o.state == "skipped":
        print(f"skip {kind}/{o.name}: {o.text}", flush=True)
    elif o.state == "empty":
        print(f"skip {kind}/{o.name}: the suite asserts nothing here", flush=True)
    else:
        print(f"ok {kind}/{o.name}", flush=True)


def say_row(kind, o):
    reason = ""
    if o.state == "skipped":
        reason = o.text
    elif o.state == "failed":
        m = re.search(r"\[FAILED\]\s*(.*)", o.text)
        reason = m.group(1) if m else ""
    print(f"{kind:5} {o.state:8} {o.name:40} {reason[:100]}", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--table", action="store_true")
    ap.add_argument("--tap", action="store_true")
    ap.add_argument("--only", default="")
    ap.add_argument("--kind", action="append")
    args = ap.parse_args()
    require_built()
    if not shutil.which("iscsi-test-cu"):
        print("iscsi-test-cu is not installed (package libiscsi-bin)")
        sys.exit(77)

    wanted = [n for n in names() if re.search(args.only, n)]
    kinds = args.kind or (["file", "thin"] if STANDIN else ["file", "thin", "mem"])
    say = say_tap if args.tap else say_row
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        results = dict(zip(kinds, pool.map(lambda k: run_kind(k, wanted, say), kinds)))

    bad = 0
    for kind, done in results.items():
        count = collections.Counter(o.state for o in done)
        bad += count["failed"] + count["hung"]
        if not args.tap:
            print(f"{kind}: " + ", ".join(f"{count[s]} {s}" for s in ORDER) + f" of {len(done)}")
    sys.exit(1 if bad or not wanted else 0)


if __name__ == "__main__":
    main()
