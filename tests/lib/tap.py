# SPDX-License-Identifier: BSD-3-Clause
"""
A test script in a few lines: mark functions with @case, end in run(). An assertion fails a case, Skip skips it.
LGT_CASE=REGEX: the cases whose name matches, alone.
"""
import os
import re
import sys
import traceback

_cases = []


class Skip(Exception):
    """Why this case cannot run here, in one sentence."""


def case(name):
    def keep(func):
        _cases.append((name, func))
        return func
    return keep


def run(*args):
    """Runs all cases in the order of the file, each with args; ends the process."""
    failed = 0
    only = re.compile(os.environ.get("LGT_CASE", ""))
    for name, func in _cases:
        if not only.search(name):
            continue
        try:
            func(*args)
            print(f"ok {name}", flush=True)
        except Skip as s:
            print(f"skip {name}: {s}", flush=True)
        except Exception:
            failed += 1
            print(traceback.format_exc())
            for arg in args:
                if hasattr(arg, "show_logs"):
                    arg.show_logs()
            print(f"not ok {name}", flush=True)
    return failed


def need(what, why=""):
    """assert with a message that is evaluated only once."""
    if not what:
        raise AssertionError(why or "expected something else")
