#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
sum.py DIR ALLOWED STAGE…: adds up DIR/STAGE.json of each stage; a skip that no line of ALLOWED covers is a failure, and so is
a stage that ran and of which nothing passed.
"""
import fnmatch
import json
import os
import sys


def allowances(path):
    with open(path, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("  ", 1) for line in f if line.strip() and not line.startswith("#")]
    for row in rows:
        if len(row) != 2 or not row[1].strip():
            sys.exit(f"{path}: '{row[0]}' gives no reason")
    return [row[0] for row in rows]


def main():
    folder, allowed_path, *stages = sys.argv[1:]
    allowed = allowances(allowed_path)
    passed = skipped = 0
    failed = []
    print("==== sum")
    for stage in stages:
        path = os.path.join(folder, stage + ".json")
        if not os.path.exists(path):
            failed.append(f"{stage}: did not get as far as running its tests")
            continue
        with open(path, encoding="utf-8") as f:
            got = json.load(f)
        print(f"{stage}: {got['passed']} passed, {len(got['failed'])} failed, {len(got['skipped'])} skipped")
        passed += got["passed"]
        failed += [f"{stage}: {name} {why}".rstrip() for name, why in got["failed"]]
        if not got["passed"] and not got.get("left_out"):
            failed.append(f"{stage}: nothing passed")
        for name, reason in got["skipped"]:
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed):
                skipped += 1
            else:
                failed.append(f"{stage}: {name}: skipped, which {allowed_path} does not allow: {reason}")
    for line in failed:
        print("FAIL  " + line)
    print(f"{passed} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
