#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs tests, counts every case, and ends in the line `N passed, N failed, N skipped`.

A test is a program. What it prints decides how it is counted:
  * a Check program (under --build) writes TAP to a file that the runner names;
  * any other prints lines `ok NAME`, `not ok NAME`, `skip NAME: reason` among its output;
  * a program that prints none of these counts as one case: exit 0 passed, 77 skipped, else failed.
A non-zero exit without a `not ok` is a failure of its own, and so is a timeout.

Comments in the first lines of a script steer it: `# runner: serial timeout=120`.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LINE = re.compile(r"^(ok|not ok|skip)\b[ \d]*(?:- )?(.*)$")
DIRECTIVE = re.compile(r"^(?:#|//|/?\*)\s*runner:\s*(.*)$")
# Sanitized programs are slower by about these factors.
SLOWER = {"address": 3, "undefined": 2, "thread": 8}


class Test:
    def __init__(self, path, check, build=""):
        self.path = path
        # The same name wherever it was built.
        self.name = path[len(build) + 1:] if build and path.startswith(build + "/") else path
        self.check = check
        self.serial = False
        self.timeout = 60
        if not check:
            self._read_directives()

    def _read_directives(self):
        with open(self.path, "rb") as f:
            if f.read(2) != b"#!":
                return
            head = f.read(1000).decode("utf-8", "replace")
        for line in head.splitlines():
            m = DIRECTIVE.match(line)
            for word in m.group(1).split() if m else []:
                if word == "serial":
                    self.serial = True
                elif word.startswith("timeout="):
                    self.timeout = int(word[8:])


class Result:
    def __init__(self, test):
        self.test = test
        self.passed = []
        self.failed = []  # (name, why)
        self.skipped = []  # (name, reason)
        self.output = ""
        self.seconds = 0.0


def sanitizer_env(san):
    if not san:
        return {}
    return {
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
        "TSAN_OPTIONS": "exitcode=99:second_deadlock_stack=1",
        # Fork-per-case hides leaks from one sanitizer and upsets the other.
        "CK_FORK": "no",
    }


def launcher(san):
    """gcc 12's and clang 14's runtimes need the address space less shuffled than some kernels do it."""
    try:
        with open("/proc/sys/vm/mmap_rnd_bits", encoding="ascii") as f:
            wild = int(f.read()) > 28
    except OSError:
        wild = False
    return ["setarch", "-R"] if san and wild and shutil.which("setarch") else []


def run(test, env, scale, launch):
    res = Result(test)
    env = dict(env)
    tap = None
    if test.check:
        fd, tap = tempfile.mkstemp(prefix="lgt-tap.")
        os.close(fd)
        env["CK_TAP_LOG_FILE_NAME"] = tap
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        proc = subprocess.Popen(launch + [os.path.abspath(test.path)], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, env=env, start_new_session=True)
        try:
            code = proc.wait(test.timeout * scale)
        except subprocess.TimeoutExpired:
            code = None
        end_group(proc)
        out.seek(0)
        res.output = out.read().decode("utf-8", "replace")
    res.seconds = time.monotonic() - began
    lines = res.output
    if tap:
        with open(tap, encoding="utf-8", errors="replace") as f:
            lines = f.read()
        os.unlink(tap)
    count(res, lines, code, scale)
    return res


def end_group(proc):
    """Whatever a test leaves behind in its process group ends with it."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(proc.pid, sig)
        except ProcessLookupError:
            break
        for _ in range(20):
            proc.poll()
            try:
                os.killpg(proc.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.05)
    proc.wait()


def count(res, lines, code, scale):
    name = res.test.name
    for line in lines.splitlines():
        m = LINE.match(line)
        if not m:
            continue
        what, rest = m.groups()
        if what == "skip" or "# SKIP" in rest:
            case, _, reason = rest.partition("# SKIP" if "# SKIP" in rest else ": ")
            res.skipped.append((f"{name}: {case.strip()}", reason.strip() or "no reason given"))
        elif what == "ok":
            res.passed.append(f"{name}: {rest}")
        else:
            res.failed.append((f"{name}: {rest}", ""))
    if code is None:
        res.failed.append((name, f"no end after {res.test.timeout * scale:.0f} s"))
    elif code == 77 and not res.passed and not res.failed and not res.skipped:
        said = res.output.strip().splitlines()
        res.skipped.append((name, said[-1] if said else "no reason given"))
    elif code != 0 and not res.failed:
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        res.failed.append((name, why))
    elif not res.passed and not res.failed and not res.skipped:
        if res.test.check:
            res.failed.append((name, "no case in it"))
        else:
            res.passed.append(name)


def find(args):
    tests = []
    for path in args.paths:
        if os.path.isdir(path):
            names = sorted(os.path.join(d, f) for d, _, fs in os.walk(path) for f in fs)
            tests += [Test(p, is_check(p, args), args.build) for p in names if is_test(p, args)]
        else:
            tests.append(Test(path, is_check(path, args), args.build))
    pattern = re.compile(args.only or "")
    return [t for t in tests if pattern.search(t.name)]


def is_check(path, args):
    return bool(args.build) and path.startswith(os.path.join(args.build, "tests/unit/"))


def is_test(path, args):
    if not os.access(path, os.X_OK):
        return False
    # In the tree a leading underscore marks a helper; in a build directory every program is a test.
    return not os.path.basename(path).startswith("_") and "/__pycache__/" not in path


def report(res):
    mark = "FAIL" if res.failed else "skip" if res.skipped and not res.passed else "ok"
    counts = f"{len(res.passed)} passed"
    if res.failed:
        counts += f", {len(res.failed)} failed"
    if res.skipped:
        counts += f", {len(res.skipped)} skipped"
    print(f"{mark:5} {res.test.name} ({counts}, {res.seconds:.1f} s)", flush=True)
    if res.failed:
        for name, why in res.failed:
            print(f"      failed: {name}{': ' + why if why else ''}")
        text = res.output.splitlines()
        if len(text) > 200:
            text = text[:40] + [f"… {len(text) - 200} lines left out …"] + text[-160:]
        for line in text:
            print("      | " + line)
        sys.stdout.flush()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("paths", nargs="*")
    ap.add_argument("--build", default="", help="build directory of the programs under test")
    ap.add_argument("--san", default="", help="sanitizers that the build was made with")
    ap.add_argument("--only", default="", help="regular expression over test paths")
    ap.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    ap.add_argument("--result", default="", help="also write the outcome here, as JSON")
    args = ap.parse_args()

    scale = max([SLOWER.get(s, 1) for s in args.san.split(",")] or [1])
    env = dict(os.environ, LGT_SAN=args.san, LGT_SCALE=str(scale),
               LGT_BUILD=os.path.abspath(args.build or "build"),
               LGT_TOP=os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")),
               CK_DEFAULT_TIMEOUT=str(30 * scale), PYTHONDONTWRITEBYTECODE="1")
    env.update(sanitizer_env(args.san))
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        env.pop(name, None)

    launch = launcher(args.san)
    tests = find(args)
    done = []

    def keep(res):
        done.append(res)
        report(res)

    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        running = [pool.submit(run, t, env, scale, launch) for t in tests if not t.serial]
        for f in concurrent.futures.as_completed(running):
            keep(f.result())
    for t in tests:
        if t.serial:
            keep(run(t, env, scale, launch))

    passed = sum(len(r.passed) for r in done)
    failed = [f for r in done for f in r.failed]
    skipped = [s for r in done for s in r.skipped]
    if skipped:
        print("\nSkipped:")
        for name, reason in skipped:
            print(f"  {name}: {reason}")
    if failed:
        print("\nFailed:")
        for name, why in failed:
            print(f"  {name}{': ' + why if why else ''}")
    if args.result:
        with open(args.result, "w", encoding="utf-8") as f:
            json.dump({"passed": passed, "failed": failed, "skipped": skipped}, f, indent=1)
    if not done:
        print("no test was run")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
