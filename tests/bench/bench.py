#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures the gateway beside tgt and the loopback limit, in turns, and says which goals are met.

Writes OUT/bench.json and OUT/bench.svg. Exit codes: 0 measured (whether goals are met or not), 1 a contender failed,
2 the machine cannot do this, 3 the machine was busy with something else: nothing is reported.
"""
import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

import _chart
import _contender
import _machine
import _plan
import _report

RETRIES = 6


def options():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--quick", action="store_true", help="under two minutes: short windows")
    ap.add_argument("--rounds", type=int, help="each run is repeated so often (3)")
    ap.add_argument("--seconds", type=float, help="of a measured window (3)")
    ap.add_argument("--warmup", type=float, help="seconds of load before it (0.5)")
    ap.add_argument("--only", default="", help="regular expression over `LOAD CONTENDER`, such as `r32 .*null`")
    ap.add_argument("--url", action="append", default=[], metavar="[NAME=]iscsi://…",
                    help="a further contender; NAME:PID=… has its CPU time measured as well")
    ap.add_argument("--size", type=int, default=1024, help="MiB of the files (1024)")
    ap.add_argument("--dir", help="folder of the file that is not in /dev/shm (the build's)")
    ap.add_argument("--out", default=os.path.join(_contender.L.BUILD, "bench"))
    ap.add_argument("--doc", action="store_true", help="write the tables into docs/performance.md")
    ap.add_argument("--busy-ok", action="store_true", help="report even if the machine was busy")
    ap.add_argument("--lock", help="hold this file's lock while measuring, on a machine that others use too")
    o = ap.parse_args()
    o.rounds = o.rounds or 3
    o.seconds = o.seconds or (0.5 if o.quick else 3)
    o.warmup = o.warmup if o.warmup is not None else (0.1 if o.quick else 0.5)
    return o


@contextlib.contextmanager
def quiet(path):
    if not path:
        yield
        return
    with open(path, "a", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def lean(contender, load, o):
    argv = [_contender.LEAN, "--url", contender.url, "--json", "--seconds", str(o.seconds), "--warmup", str(o.warmup),
            *load.args]
    if contender.client is not None:
        argv += ["--cpu", str(contender.client)]
    if contender.pid:
        argv += ["--pid", str(contender.pid)]
    p = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if p.returncode:
        raise RuntimeError(f"{load.title} of {contender.name}: {p.stderr.strip() or p.stdout.strip()}")
    return json.loads(p.stdout)


def measure(contender, load, o):
    """One run, repeated when something disturbed it."""
    for again in range(RETRIES):
        if again:
            time.sleep(2 ** again)  # a neighbour's burst may last
        run = lean(contender, load, o)
        why = _machine.disturbed(run)
        if not why or o.busy_ok:
            run["disturbed"] = why
            return run
    raise _machine.Busy(f"during {load.title} of {contender.name} {why}")


def summary(run):
    """The figures that are compared."""
    ios, cpu = run["ios"], run["cpu_s"]["target"]
    return {"iops": run["iops"], "latency": run["lat_us"]["mean"] if ios else None, "p99": run["lat_us"]["p99"],
            "cpu": 1e6 * cpu / ios if ios and cpu is not None else None,
            "share": cpu / run["seconds"] if cpu is not None else None,
            "rss_per_session": (run["rss"] - run["rss_before"]) / run["sessions"],
            "login_us": 1e6 * run["login_s"] / run["sessions"]}


def contest(field, o):
    """{(contender, load): [summary of each round]}"""
    pattern = re.compile(o.only)
    lines = [(_plan.LOADS[line.load], [c for c in line.contenders + field.guests(line.contenders)
                                       if c in field.all and pattern.search(f"{line.load} {c}")])
             for line in _plan.LINES]
    total = o.rounds * sum(len(c) for _, c in lines)
    done, results = 0, {}
    for _ in range(o.rounds):
        for load, names in lines:
            with quiet(o.lock):
                for name in names:
                    results.setdefault((name, load.name), []).append(summary(measure(field.all[name], load, o)))
                    done += 1
                    if sys.stderr.isatty():
                        print(f"\r{done}/{total} {load.title}: {name}\033[K", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return results


def median(runs, what):
    values = [r[what] for r in runs if r[what] is not None]
    return statistics.median(values) if values else None


def judge(goal, results, missing):
    """Median over the rounds of the ratio within a round."""
    # Whom it is compared with, unless the title says so.
    versus = f" / {goal.under[0]}" if goal.under and goal.under[0] in (_plan.LIMIT, _plan.LIMIT_FILE) else ""
    out = {"title": goal.title + versus, "what": goal.what, "least": goal.least, "most": goal.most, "note": goal.note,
           "over": goal.over, "under": goal.under, "value": None, "met": None}
    runs = [results.get(side) for side in (goal.over, goal.under) if side]
    for side in (goal.over, goal.under):
        if side and side[0] in missing:
            out["note"] = missing[side[0]]
    if not all(runs):
        return out
    values = [r[0][goal.what] / (r[1][goal.what] if len(r) > 1 else 1) for r in zip(*runs)
              if all(x[goal.what] is not None for x in r)]
    if values:
        out["value"] = statistics.median(values)
        out["met"] = out["value"] >= goal.least if goal.least is not None else out["value"] <= goal.most
    return out


def outcome(results, field, o):
    return {"machine": _machine.describe(), "rounds": o.rounds, "seconds": o.seconds,
            "medians": {c: {ld: {w: median(runs, w) for w in runs[0]} for (c2, ld), runs in results.items() if c2 == c}
                        for c in dict.fromkeys(c for c, _ in results)},
            "goals": [judge(g, results, field.missing) for g in _plan.GOALS], "missing": field.missing,
            "runs": [{"contender": c, "load": ld, "rounds": runs} for (c, ld), runs in results.items()]}


def write(found, o):
    os.makedirs(o.out, exist_ok=True)
    with open(os.path.join(o.out, "bench.json"), "w", encoding="utf-8") as f:
        json.dump(found, f, indent=1)
    svg = os.path.join(o.out, "bench.svg")
    with open(svg, "w", encoding="utf-8") as f:
        f.write(_chart.goals(found))
    if o.doc:
        top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs")
        shutil.copy(svg, os.path.join(top, "performance.svg"))
        _report.into_doc(os.path.join(top, "performance.md"), _report.markdown(found))
    print(_report.text(found))
    print(f"\n{os.path.join(o.out, 'bench.json')} and bench.svg hold the rest.")


def main():
    o = options()
    cpus = _machine.cpus()
    if not cpus:
        print("bench: two CPUs are needed, one for the target and one for the client.", file=sys.stderr)
        return 2
    try:
        if not o.busy_ok:
            with quiet(o.lock):
                _machine.wait_quiet(0.15, 20)
        with _contender.Field(cpus, o.size << 20, o.dir) as field:
            for spec in o.url:
                field.add_url(spec)
            results = contest(field, o)
    except _machine.Busy as e:
        print(f"bench: {e}; nothing is reported.", file=sys.stderr)
        return 3
    except (RuntimeError, OSError, subprocess.SubprocessError, _contender.L.Refused, AssertionError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    write(outcome(results, field, o), o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
