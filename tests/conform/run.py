#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""libiscsi's conformance suite, one process a test, so that a test that hangs is one failure and not the end.

    run.py --table [--only REGEX] [--kind NAME]...   all tests, on all kinds of LUN (kinds.py), as a table and a sum
    run.py --tap --only REGEX                        as lines for the runner

With --strict a test that does not run must be one that `skips` names, and a whole run says which tests ran on no kind of
LUN and which lines of `skips` are of no use.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from kinds import ALL, KINDS, is_sanitize, lun_of, luns, second_portal, suits
from lab import SCALE, STANDIN, Lab, require_built
from skips import Skips

TEST_SECS = 60
# It looks once a minute whether the operation has ended.
LONG_SECS = {"Sanitize.Reset": 600}
TOGETHER = 3
# Tests of the suite that no target can pass: the assertion that fails, and why. One that fails otherwise still counts.
KNOWN = {
    # test_async_lu_reset_simple.c: `reconnect_succeeded` begins as 0, only the callback sets it to 1, and the assertion
    # stands between the queueing of the function and the first iscsi_service(). What it then frees is still in use.
    "iSCSITMF.LUNResetSimpleAsync": (
        r"reconnect_succeeded,1", "libiscsi 1.19 looks for the answer before it could have come"),
    "Sanitize.Reset": (r"_r,0", "the sanitize operation has ended before the suite looks"),
    # test_get_lba_status_unmap_single.c: its second loop asks for block i + 1 and wants the descriptor of i + lbppb, which
    # is the same only where a physical block is a logical one.
    "GetLBAStatus.UnmapSingle": (r"lba offset in first descriptor does not", "asks for one block and wants another"),
}
# How a test fails on a kind of LUN that it is not made for: the kind, the text, and why.
UNFIT = (
    (r"readonly$", r"\[FAILED\].*(WRITE_PROTECTED|COPY ABORTED|\(0x07\)/\(0x2700\))"
                   r"|test_async_\w+\.c:\d+\s+- CU_ASSERT_NOT_EQUAL\(status,SCSI_STATUS_CHECK_CONDITION\)",
     "write protected"),
    # verify_write_works() in iscsi-support.c sends 512 bytes for one block, whatever a block is: 5/0E03 is right.
    (r"4k$", r"\[FAILED\] WRITE10 command: failed with sense.*\(0x0e03\)", "the suite takes a block for 512 bytes"),
)
# What a LUN lacks leaves the rest of these tests to be done.
PART = {
    "Sanitize.BlockErase": r"GET_?LBA_?STATUS is not implemented",
    "Sanitize.Readonly": r"SANITIZE \w+ is not implemented",
    "Sanitize.Reservations": r"SANITIZE \w+ is not implemented",
}
ORDER = ("passed", "failed", "hung", "skipped", "empty")

Outcome = collections.namedtuple("Outcome", "name state text")
# Of several kinds at once each has a line of its own.
say_lock = threading.Lock()


def names():
    """FAMILY.SUITE.TEST, each suite once: the list repeats them under other families."""
    out = subprocess.run(["iscsi-test-cu", "-l"], capture_output=True, text=True, check=True).stdout
    return [line.split(".", 1)[1] for line in out.split() if re.match(r"ALL\.[^.]+\.[^.]+$", line)]


def summary(text, row):
    m = re.search(rf"^\s*{row}\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", text, re.M)
    return [int(n) for n in m.groups()] if m else None


def known(name, text):
    """Why the suite itself is wrong, if that is all."""
    wrong = re.findall(r"^\s*\d+\. \S+\.c:\d+\s+- (.*)$", text, re.M)
    pattern, why = KNOWN.get(name, ("(?!)", ""))
    return why if wrong and all(re.search(pattern, line) for line in wrong) else ""


def outcome(kind, name, text, code):
    tests, asserts = summary(text, "tests"), summary(text, "asserts")
    if not tests or tests[1] != 1 or code or tests[3] + asserts[3]:
        unfit = [w for on, said, w in UNFIT if re.search(on, kind) and re.search(said, text)]
        why = known(name, text) or next(iter(unfit), "")
        if why:
            return Outcome(name, "skipped", why)
        return Outcome(name, "failed", f"exit {code}\n{text}")
    said = [line for line in re.findall(r"\[SKIPPED\]\s*(.*)", text)
            if not re.match(PART.get(name, "(?!)"), line)]
    if said:
        return Outcome(name, "skipped", said[0].strip())
    return Outcome(name, "passed" if asserts[0] else "empty", text)


def run_one(lab, kind, name, second):
    """On two paths, of which most tests use one."""
    url = lab.url(1, lun_of(name))
    try:
        p = subprocess.run(["iscsi-test-cu", "-n", "-d", *(["-S"] if is_sanitize(name) else []), "-t", "ALL." + name,
                            url, url.replace(lab.portal, second)], capture_output=True,
                           text=True, errors="replace", timeout=LONG_SECS.get(name, TEST_SECS) * SCALE, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired as t:
        return Outcome(name, "hung", (t.stdout or b"").decode("utf-8", "replace"))
    return outcome(kind, name, p.stdout + p.stderr, p.returncode)


def run_kind(kind, wanted, say):
    with Lab() as lab:
        second = second_portal(lab)
        luns(lab, kind, wanted)
        done = []
        for name in wanted:
            done.append(run_one(lab, kind, name, second))
            with say_lock:
                say(kind, done[-1])
            if not lab.gateway.alive():
                lab.gateway.stop()
                lab.start()
                if STANDIN:
                    luns(lab, kind, wanted)
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
    print(f"{kind:13} {o.state:8} {o.name:40} {reason[:100]}", flush=True)


def strict(results, whole):
    """The rules about what does not run; how many are broken."""
    skips, bad = Skips(), 0
    for kind, done in results.items():
        for o in done:
            if o.state in ("skipped", "empty") and not skips.allows(kind, o.name):
                print(f"not allowed by tests/conform/skips: {kind}/{o.name}: {o.state}"
                      f"{': ' + o.text if o.state == 'skipped' else ''}")
                bad += 1
    if not whole:
        return bad
    ran = {o.name for done in results.values() for o in done if o.state in ("passed", "failed")}
    for name in sorted({o.name for done in results.values() for o in done} - ran):
        print(f"ran on no kind of LUN: {name}: {skips.never(name) or 'and no line of tests/conform/skips for * says why'}")
        bad += not skips.never(name)
    for line in skips.unused():
        print(f"of no use in tests/conform/skips: {line}")
        bad += 1
    return bad


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--table", action="store_true")
    ap.add_argument("--tap", action="store_true")
    ap.add_argument("--strict", action="store_true")
    ap.add_argument("--only", default="")
    ap.add_argument("--kind", action="append", choices=sorted(KINDS))
    args = ap.parse_args()
    require_built()
    if not shutil.which("iscsi-test-cu"):
        print("iscsi-test-cu is not installed (package libiscsi-bin)")
        sys.exit(77)

    wanted = [n for n in names() if re.search(args.only, n)]
    kinds = args.kind or ALL
    say = say_tap if args.tap else say_row
    with concurrent.futures.ThreadPoolExecutor(min(len(kinds), TOGETHER)) as pool:
        results = dict(zip(kinds, pool.map(lambda k: run_kind(k, [n for n in wanted if suits(k, n)], say), kinds)))

    bad = strict(results, not args.only and not args.kind) if args.strict else 0
    for kind, done in results.items():
        count = collections.Counter(o.state for o in done)
        bad += count["failed"] + count["hung"]
        if not args.tap:
            print(f"{kind}: " + ", ".join(f"{count[s]} {s}" for s in ORDER) + f" of {len(done)}")
    sys.exit(1 if bad or not wanted else 0)


if __name__ == "__main__":
    main()
