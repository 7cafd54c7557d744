# SPDX-License-Identifier: BSD-3-Clause
"""What the lint scripts share: the files of the tree, C without comments and strings, one line a rule."""
import os
import re
import subprocess
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
os.chdir(TOP)

_failed = False


def files(*suffixes):
    """Files that git tracks or would track; everything but build/ where there is no git."""
    if os.path.exists(".git"):
        out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], check=True,
                             capture_output=True, text=True).stdout.splitlines()
    else:
        out = [os.path.relpath(os.path.join(d, f)) for d, _, fs in os.walk(".") for f in fs]
        out = [p for p in out if not p.startswith("build/") and "__pycache__" not in p]
    return sorted(p for p in out if os.path.isfile(p) and (not suffixes or p.endswith(suffixes)))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code(path):
    """C text in which comments and literals are blank, line numbers kept."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return _TOKEN.sub(blank, read(path))


def rule(name, wrong):
    """One counted case: wrong is a list of 'path:line: what'."""
    global _failed
    for w in wrong:
        print("  " + w)
    print(("not ok " if wrong else "ok ") + name)
    _failed |= bool(wrong)


def skip(name, reason):
    print(f"skip {name}: {reason}")


def end():
    sys.exit(1 if _failed else 0)
